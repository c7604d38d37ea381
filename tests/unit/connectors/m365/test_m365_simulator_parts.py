"""The simulator's parts on their own: models, faults, state, tokens, journal."""

from __future__ import annotations

import json

import pytest

from connectors.m365.simulator.entra import Caller, Tokens, token_answer
from connectors.m365.simulator.errors import GraphError
from connectors.m365.simulator.faults import GraphFault
from connectors.m365.simulator.journal import GraphRecord, hide, noted
from connectors.m365.simulator.models import model, problems
from connectors.m365.simulator.seed import DEMO, demo_fixture, tenant_of
from connectors.m365.simulator.state import Table, Tenant
from connectors.m365.simulator.wire import Request
from connectors.simulation import Faults, Journal

USER = model("user:User")


def request(method: str = "GET", path: str = "/v1.0/users", body: bytes = b"", **headers: str) -> Request:
    return Request(method, path, "", headers, body, "https://localhost:1")


class TestModels:
    @pytest.mark.parametrize(
        "value",
        [
            {"displayName": "A", "accountEnabled": True, "businessPhones": ["1"]},
            {"assignedLicenses": [{"skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900", "disabledPlans": []}]},
            {"createdDateTime": "2026-01-01T00:00:00Z"},
            {"displayName": None, "@odata.context": "x", "@odata.type": "#microsoft.graph.user"},
            {"onPremisesExtensionAttributes": {"extensionAttribute15": "x"}},
        ],
    )
    def test_what_the_sdk_reads_is_fine(self, value: dict[str, object]) -> None:
        assert list(problems(USER, value)) == []

    @pytest.mark.parametrize(
        ("value", "where"),
        [
            ({"shoeSize": 44}, "shoeSize"),
            ({"accountEnabled": "yes"}, "accountEnabled"),
            ({"displayName": 3}, "displayName"),
            ({"businessPhones": "1"}, "businessPhones"),
            ({"assignedLicenses": [{"skuId": "E3"}]}, "assignedLicenses[0].skuId"),
            ({"assignedLicenses": [{"seat": 1}]}, "assignedLicenses[0].seat"),
            ({"createdDateTime": "yesterday"}, "createdDateTime"),
            ({"passwordProfile": "x"}, "passwordProfile"),
        ],
    )
    def test_what_the_sdk_would_drop_is_a_problem(self, value: dict[str, object], where: str) -> None:
        (found,) = problems(USER, value)
        assert found.startswith(where)

    def test_a_directory_object_is_read_by_its_type(self) -> None:
        objects = model("directory_object:DirectoryObject")
        assert list(problems(objects, {"@odata.type": "#microsoft.graph.group", "groupTypes": []})) == []
        assert list(problems(objects, {"@odata.type": "#microsoft.graph.user", "groupTypes": []}))


class TestFaults:
    def test_a_write_can_be_made_visible_late(self) -> None:
        faults = Faults(GraphFault)
        faults.add(kind="delay", seconds=2)
        (met,) = faults.take(method="POST", operation="POST /users", path="/v1.0/users", tenant="t1", write=True)
        assert (met.kind, met.seconds, met.code) == ("delay", 2, "serviceNotAvailable")


class TestState:
    def test_reads_lag_behind_writes(self) -> None:
        table = Table()
        table.put("a", {"n": 1})
        table.put("a", {"n": 2}, visible_at=10.0)
        table.put("b", {"n": 1}, visible_at=10.0)
        table.put("a", None, visible_at=20.0)
        assert (table.see("a", 5), table.see("b", 5)) == ({"n": 1}, None)
        assert (table.see("a", 15), table.see("b", 15)) == ({"n": 2}, {"n": 1})
        assert dict(table.seen(25)) == {"b": {"n": 1}}
        assert dict(table.present()) == {"b": {"n": 1}}

    def test_what_is_read_can_be_changed_without_harm(self) -> None:
        table = Table()
        table.put("a", {"list": [1]})
        copy = table.get("a")
        assert copy is not None
        copy["list"].append(2)
        assert table.get("a") == {"list": [1]}

    def test_only_a_change_counts_as_one(self) -> None:
        table = Table()
        table.put("a", {"n": 1})
        before = table.revision
        table.put("a", {"n": 1})
        assert table.revision == before

    @pytest.mark.parametrize("slug", DEMO)
    def test_the_same_fixture_gives_the_same_dump(self, slug: str) -> None:
        first, second = tenant_of(demo_fixture(slug)), tenant_of(demo_fixture(slug))
        assert first.dump(whole=True) == second.dump(whole=True)
        assert json.dumps(first.dump()) == json.dumps(second.dump())

    @pytest.mark.parametrize("slug", DEMO)
    def test_a_tenant_survives_being_written_down(self, slug: str) -> None:
        tenant = tenant_of(demo_fixture(slug))
        again = Tenant.from_json(json.loads(json.dumps(tenant.as_json())))
        assert again.dump(whole=True) == tenant.dump(whole=True)

    def test_a_dump_shows_no_password(self) -> None:
        assert '"digest"' not in json.dumps(tenant_of(demo_fixture("contoso")).dump(whole=True))


class TestTokens:
    caller = Caller("tenant", "app", frozenset({"User.Read.All"}))

    def headers(self, token: str) -> dict[str, str]:
        return {"authorization": f"Bearer {token}"}

    def test_says_who_calls(self) -> None:
        tokens = Tokens(b"key")
        assert tokens.read(self.headers(tokens.issue(self.caller, 100)), 200) == self.caller

    def test_ends(self) -> None:
        tokens = Tokens(b"key", lifetime=60)
        token = tokens.issue(self.caller, 100)
        with pytest.raises(GraphError, match="expired"):
            tokens.read(self.headers(token), 160)

    @pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
    def test_refuses_what_is_not_one(self, token: str) -> None:
        with pytest.raises(GraphError) as refused:
            Tokens(b"key").read(self.headers(token), 0)
        assert (refused.value.status, refused.value.code) == (401, "InvalidAuthenticationToken")

    def test_refuses_another_signature(self) -> None:
        token = Tokens(b"key").issue(self.caller, 100)
        with pytest.raises(GraphError, match="Signature"):
            Tokens(b"other").read(self.headers(token), 100)

    @pytest.mark.parametrize(
        ("form", "status", "number"),
        [
            ("", 400, 900144),
            ("grant_type=password&client_id=app&scope=x", 400, 70003),
            ("grant_type=client_credentials&client_id=nobody&scope=x", 400, 700016),
            ("grant_type=client_credentials&client_id=app&scope=x", 401, 7000216),
            ("grant_type=client_credentials&client_id=app&client_secret=no&scope=x", 401, 7000215),
            ("grant_type=client_credentials&client_id=app&client_secret=right&scope=x", 400, 1002012),
            ("grant_type=client_credentials&client_id=app&client_secret=right&scope=https://x/.default", 400, 500011),
        ],
    )
    def test_refusals_are_numbered_as_entras(self, form: str, status: int, number: int) -> None:
        fixture = {**demo_fixture("contoso"), "apps": [{"clientId": "app", "clientSecret": "right"}]}
        answer = token_answer(request("POST", body=form.encode()), tenant_of(fixture), "contoso", Tokens(b"k"), 0)
        assert (answer.status, answer.body["error_codes"]) == (status, [number])

    def test_an_unknown_tenant(self) -> None:
        answer = token_answer(request("POST"), None, "nowhere", Tokens(b"k"), 0)
        assert answer.body["error_codes"] == [90002]


class TestJournal:
    def test_hides_secrets_at_any_depth(self) -> None:
        shown = hide({"passwordProfile": {"password": "s3cret"}, "list": [{"client_secret": "s3cret"}]})
        assert "s3cret" not in json.dumps(shown)

    def test_hides_the_secret_of_a_form(self) -> None:
        journal = Journal(GraphRecord)
        posted = request("POST", body=b"client_id=a&client_secret=s3cret")
        form = Request(**{**posted.__dict__, "headers": {"content-type": "application/x-www-form-urlencoded"}})
        journal.open(**noted(form, "POST token", write=False))
        assert "s3cret" not in json.dumps(journal.read())
