"""What a connection to a web API may hold."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.http.actions.request_send import SendRequest
from connectors.http.config import HttpConfig
from connectors.http.hosts import Allowed, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api.example.com", Allowed("https", "api.example.com", 443)),
        ("API.Example.com.", Allowed("https", "api.example.com", 443)),
        ("https://api.example.com/", Allowed("https", "api.example.com", 443)),
        ("http://intranet.example", Allowed("http", "intranet.example", 80)),
        ("api.example.com:8443", Allowed("https", "api.example.com", 8443)),
        ("*.example.com", Allowed("https", "example.com", 443, below=True)),
        ("[2606:4700::1111]:8443", Allowed("https", "2606:4700::1111", 8443)),
        ("bücher.example", Allowed("https", "xn--bcher-kva.example", 443)),
    ],
)
def test_an_entry_of_the_list_is_read(text: str, expected: Allowed) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.com", "a.*.example", "ftp://a.example", "a.example:0", "a.example:x", "a.example/path", "127.1"],
)
def test_what_is_no_host_is_refused_with_what_was_typed(text: str) -> None:
    with pytest.raises(ValueError, match="^" + text.replace("*", r"\*").replace(".", r"\.") + ":"):
        parse(text)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"hosts": []}, "hosts"),
        ({"hosts": ["a b"]}, "hosts"),
        ({"sign_in": "bearer"}, "secret"),
        ({"sign_in": "bearer", "secret": "a\nb"}, "secret"),
        ({"sign_in": "bearer", "secret": "clé"}, "secret"),
        ({"sign_in": "basic", "secret": "x"}, "username"),
        ({"sign_in": "basic", "secret": "x", "username": "a:b"}, "username"),
        ({"sign_in": "header", "secret": "x", "header": "X Api"}, "header"),
        ({"sign_in": "header", "secret": "x", "header": "Host"}, "header"),
        ({"headers": {"Authorization": "x"}}, "headers"),
        ({"headers": {"X-A": "a\r\nHost: b"}}, "headers"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "headers"),
        ({"hosts": ["*.example.com"]}, "probe"),
        ({"probe": "https://elsewhere.example/"}, "probe"),
        ({"probe": "nonsense"}, "probe"),
        ({"endpoint": "http://127.0.0.1"}, "endpoint"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_shown(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        HttpConfig(**{"hosts": ["api.example.com"], **given})
    shown = refused.value.errors(include_input=False)
    assert {one["loc"] for one in shown} == {(named,)}
    assert "clé" not in str(shown)


@pytest.mark.parametrize(
    ("hosts", "probe", "asked"),
    [
        (["*.example.com", "http://a.example:8080"], "", "http://a.example:8080/"),
        (["a.example"], "https://a.example/me?x=1", "https://a.example/me?x=1"),
        (["[2606:4700::1111]"], "", "https://[2606:4700::1111]/"),
    ],
)
def test_the_address_that_a_test_asks(hosts: list[str], probe: str, asked: str) -> None:
    assert HttpConfig(hosts=hosts, probe=probe).probe_address == asked


@pytest.mark.parametrize(
    "params",
    [
        {"headers": {"Idempotency-Key": "mine"}},
        {"headers": {"Cookie": "a=b"}},
        {"headers": {"X-A": "a\nb"}},
        {"expect": ["20"]},
        {"expect": ["2x0"]},
        {"data": {"a": 1}, "text": "b"},
        {"content_type": "text/plain\r\nX: y", "text": "b"},
        {"timeout_s": 0},
        {"max_kb": 100_000},
    ],
)
def test_a_stepʼs_wrong_parameter_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SendRequest.Params(url="https://a.example", **params)


def test_a_form_asks_for_where_and_what_before_what_is_made_of_the_answer() -> None:
    names = list(SendRequest.Params.model_fields)
    assert names[:2] == ["method", "url"]
    assert names.index("data") < names.index("expect") < names.index("max_kb")


def test_left_empty_every_2xx_is_right() -> None:
    params = SendRequest.Params(url="https://a.example", expect=[])
    assert [status for status in (199, 200, 204, 299, 300, 404) if params.expects(status)] == [200, 204, 299]
