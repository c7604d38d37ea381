"""What the gateway decides without a database: where a sign-in leads, what a page may run, which language it speaks."""

from __future__ import annotations

import base64
import hashlib
import re

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.api.gateway import Pages, inline_hashes, policy
from app.api.html import HEADERS, STYLE, locale_of, page
from app.api.routes.reveal import TEXTS
from app.api.routes.sign_in import local_path


@pytest.mark.parametrize("path", ["/", "/c/contoso/runs?state=failed", "/c/été/x#y"])
def test_a_path_of_ours_is_followed(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize("path", [
    "", "x", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example", "https://evil.example",
    "javascript:alert(1)", "/\nx", "/\x00", " /x",
])  # fmt: skip
def test_any_other_address_is_not(path: str) -> None:
    assert local_path(path) == "/"


def test_only_the_inline_scripts_of_the_page_itself_may_run() -> None:
    html = b"<script>one</script><SCRIPT type='module'>\ntwo</SCRIPT><script src='/x.js'></script><script>one</script>"
    expected = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (b"one", b"\ntwo")]
    assert inline_hashes(html) == expected
    found = policy(html)
    scripts = next(part for part in found.split("; ") if part.startswith("script-src"))
    assert scripts == "script-src 'self' " + " ".join(f"'sha256-{each}'" for each in expected)
    for wanted in ("object-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'self'"):
        assert wanted in found


@pytest.mark.parametrize(("header", "locale"), [
    (None, "en"), ("", "en"), ("fr-FR,fr;q=0.9,en;q=0.8", "fr"), ("de,en;q=0.5,fr;q=0.4", "en"), ("de-CH, fr", "fr"),
    ("FR", "fr"), ("*", "en"),
])  # fmt: skip
def test_the_language_is_the_one_the_browser_names_first(header: str | None, locale: str) -> None:
    assert locale_of(header) == locale


def test_the_plain_pages_say_everything_in_both_languages() -> None:
    assert TEXTS["en"].keys() == TEXTS["fr"].keys()
    assert not {key for key in TEXTS["en"] if TEXTS["en"][key] == TEXTS["fr"][key]}


def test_a_plain_page_escapes_its_title_and_runs_nothing() -> None:
    found = page("<b>x", "<p>y</p>", locale="fr")
    text = bytes(found.body).decode()
    assert "<title>&lt;b&gt;x" in text
    assert 'lang="fr"' in text
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert style[1] == STYLE
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in HEADERS["Content-Security-Policy"]
    assert "script" not in HEADERS["Content-Security-Policy"]


async def _files(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("", 404 if "gone" in scope["path"] else 200)(scope, receive, send)


@pytest.mark.parametrize(("path", "kept"), [
    ("/assets/esm-gHF_do3P.js", True), ("/assets/gone-gHF_do3P.js", False), ("/tokens.css", False),
])  # fmt: skip
async def test_what_is_named_by_its_content_is_kept_by_browsers(path: str, kept: bool) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Pages(_files)), base_url="http://localhost") as web:
        answer = await web.get(path)
    assert ("immutable" in answer.headers.get("cache-control", "")) is kept
    assert answer.headers["x-content-type-options"] == "nosniff"
