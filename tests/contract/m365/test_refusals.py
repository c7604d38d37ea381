"""What the simulator does not know it refuses, with a reason, and notes; callers see Graph's own shapes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from connectors.m365.simulator.app import Simulator
from connectors.m365.simulator.starter import Running
from connectors.testing import SimulatorControl
from tests.contract.m365.conftest import ANNA, APPS

NEW = {
    "accountEnabled": True,
    "displayName": "New",
    "mailNickname": "new",
    "userPrincipalName": "new@contoso.com",
    "passwordProfile": {"password": "Tr1cky-enough"},
}


def sign_in(http: httpx.Client, tenant: str, app: dict[str, str]) -> httpx.Response:
    form = {**app, "grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}
    return http.post(f"/{tenant}/oauth2/v2.0/token", data=form)


@pytest.fixture
def http(m365_running: Running, simulator: Simulator) -> Iterator[httpx.Client]:
    """Plain HTTP with a token of Contoso's application."""
    with httpx.Client(base_url=m365_running.plain_url, trust_env=False) as client:
        token = sign_in(client, "contoso.com", APPS["contoso"]).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/teapots", 400),
        ("GET", "/users/x/teapots", 400),
        ("PUT", "/users", 405),
        ("GET", "/users?$skip=3", 501),
        ("GET", "/users?$expand=manager", 501),
        ("GET", "/users?$select=aboutMe", 501),
        ("GET", "/users?$select=shoeSize", 400),
        ("GET", "/users?colour=red", 400),
        ("GET", "/users?$top=0", 400),
        ("GET", "/users?$top=1000", 400),
        ("GET", "/users?$filter=shoeSize eq 44", 400),
        ("GET", "/users?$filter=companyName eq 'x'", 400),
        ("GET", '/users?$search="displayName:x"', 400),
        ("GET", "/users?$orderby=department", 400),
        ("GET", "/users?$skiptoken=xyz", 400),
        ("GET", f"/users/{ANNA}?$filter=id eq 'x'", 400),
        ("GET", "/users/nobody@contoso.com", 404),
    ],
)
def test_what_is_not_known_is_refused(
    http: httpx.Client, control: SimulatorControl, method: str, path: str, status: int
) -> None:
    answer = http.request(method, f"/v1.0{path}")
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message"]
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    noted = control.log()[-1]
    assert (noted["status"], noted["error"]["code"]) == (status, error["code"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"shoeSize": 44}, 400),
        ({"accountEnabled": "yes"}, 400),
        ({"onPremisesExtensionAttributes": {"extensionAttribute16": "x"}}, 400),
        ({"aboutMe": "x"}, 501),
        ({"assignedLicenses": []}, 400),
        ({"id": "x"}, 400),
    ],
)
def test_bodies_are_held_against_the_sdks_models(
    http: httpx.Client, simulator: Simulator, body: dict[str, object], status: int
) -> None:
    before = simulator.dump("contoso", whole=True)
    assert http.post("/v1.0/users", json={**NEW, **body}).status_code == status
    assert http.patch(f"/v1.0/users/{ANNA}", json=body).status_code == status
    assert simulator.dump("contoso", whole=True) == before


def test_a_body_that_is_not_json(http: httpx.Client) -> None:
    assert http.post("/v1.0/users", content=b"{nonsense").json()["error"]["code"] == "BadRequest"


def test_a_body_where_none_belongs(http: httpx.Client) -> None:
    assert http.post(f"/v1.0/users/{ANNA}/revokeSignInSessions", json={"x": 1}).status_code == 400


def test_no_token_no_answer(m365_running: Running, simulator: Simulator) -> None:
    answer = httpx.get(f"{m365_running.plain_url}/v1.0/users")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_is_bound_to_its_tenant(http: httpx.Client) -> None:
    people = http.get("/v1.0/users").json()["value"]
    assert all(one["userPrincipalName"].endswith(("contoso.com", "contoso.onmicrosoft.com")) for one in people)
    assert http.get("/v1.0/users/helene.durand@fabrikam.fr").status_code == 404


def test_a_permission_that_is_not_there(m365_running: Running, simulator: Simulator) -> None:
    poor = {"client_id": "33333333-3333-4333-8333-333333333333", "client_secret": "poor", "roles": ["User.Read.All"]}
    simulator.seed_demo({"contoso": poor})
    with httpx.Client(base_url=m365_running.plain_url) as http:
        token = sign_in(http, "contoso", {n: v for n, v in poor.items() if n != "roles"}).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        assert http.get("/v1.0/users").status_code == 200
        refused = http.patch(f"/v1.0/users/{ANNA}", json={"city": "Paris"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


def test_the_log_keeps_no_secret(http: httpx.Client, control: SimulatorControl) -> None:
    assert http.post("/v1.0/users", json=NEW).status_code == 201
    shown = str(control.log())
    assert "Tr1cky-enough" not in shown
    assert APPS["contoso"]["client_secret"] not in shown
    assert "Bearer" not in shown


def test_the_log_marks_writes_and_changes(http: httpx.Client, control: SimulatorControl) -> None:
    control.clear_log()
    http.get("/v1.0/users")
    http.patch(f"/v1.0/users/{ANNA}", json={"city": "Paris"})
    http.patch(f"/v1.0/users/{ANNA}", json={"city": "Paris"})
    marks = [(one["operation"], one["write"], one["changed"]) for one in control.log()]
    assert marks == [("GET /users", False, False), ("PATCH /users/*", True, True), ("PATCH /users/*", True, False)]


def test_a_password_can_be_checked(http: httpx.Client) -> None:
    http.post("/v1.0/users", json=NEW)
    ask = {"tenant": "contoso", "user": "new@contoso.com", "password": "Tr1cky-enough"}
    assert http.post("/_sim/check-password", json=ask).json() == {"match": True}
    assert http.post("/_sim/check-password", json={**ask, "password": "other"}).json() == {"match": False}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/_sim/nothing", None, 404),
        ("GET", "/_sim/dump?tenant=nobody", None, 404),
        ("POST", "/_sim/faults", {"kind": "sulk"}, 400),
        ("POST", "/_sim/seed", {"colour": "red"}, 400),
        ("POST", "/_sim/seed", {"tenant": {"slug": "x"}}, 400),
        ("POST", "/_sim/settings", {"colour": "red"}, 400),
    ],
)
def test_the_control_page_says_what_it_does_not_understand(
    http: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    answer = http.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]
