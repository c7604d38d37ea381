"""No secret is where it must not be: in tables, write-ahead log, Redis, the vault's storage, logs, or an answer.

Everything secret that passes through sign-in, connections and one-time links is given a known value; then the servers'
whole folder is searched for it, byte by byte.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from app.core.settings import get_settings
from app.data.counters import get_redis
from app.services import auth, reveals
from tests.servers import TestStack
from tests.stack.people import World, code_of, forget_codes
from tests.stack.platforms import M365
from tests.stack.test_reveals import secret, token_of

pytestmark = pytest.mark.usefixtures("calm")
# Where secrets belong: the deployment's own keys and passwords.
KEPT = ("keys", "embedded.json", "settings.json", "tests.lock")


class Collector(logging.Handler):
    """Every log line of this process, with its arguments and tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._plain = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        # The test's own client says what it sends; the product keeps these two to warnings (app.core.logging).
        if record.name.startswith(("httpx", "httpcore")) and record.levelno < logging.WARNING:
            return
        self.lines.append(f"{record.getMessage()} {record.__dict__} {self._plain.format(record)}")


@pytest.fixture
def logs() -> Iterator[Collector]:
    root, found = logging.getLogger(), Collector()
    level = root.level
    root.addHandler(found)
    root.setLevel(logging.DEBUG)
    yield found
    root.removeHandler(found)
    root.setLevel(level)


def search(folder: Path, needles: dict[str, bytes]) -> set[str]:
    """``file: needle`` for each that is found."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and not any(part in KEPT for part in path.relative_to(folder).parts):
            data = path.read_bytes()
            found |= {f"{path.relative_to(folder)}: {name}" for name, needle in needles.items() if needle in data}
    return found


def flush(stack: TestStack) -> None:
    """Have everything on the disk."""
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        link.execute("CHECKPOINT")


async def test_no_secret_is_where_it_must_not_be(
    web: TestStack, world: World, simulated: M365, http: httpx.AsyncClient, logs: Collector, capfd
) -> None:
    person, origin = world.staff["owner"], {"Origin": get_settings().base_url}
    needles = {"password": person.password, "seed": person.totp_secret, "recovery": person.recovery_codes[3]}
    answers: list[httpx.Response] = []

    forget_codes(web.superuser_dsn, person)
    form = {"email": person.email, "password": person.password, "otp": code_of(person)}
    signed = await http.post("/api/v1/auth/sign-in", data=form, headers=origin)
    needles["session"] = signed.headers["set-cookie"].partition(";")[0].partition("=")[2]
    typed = "canary-typed-by-mistake"
    for wrong in ({**form, "password": typed}, {**form, "email": typed}, {**form, "otp": typed}):
        answers.append(await http.post("/api/v1/auth/token", json=wrong))
    needles["typed"] = typed

    actor = await auth.resolve_session(needles["session"])
    made = await auth.create_token(actor, name="canary")
    needles["token"] = made.token
    bearer = {"Authorization": f"Bearer {made.token}"}
    config = simulated.config("contoso")
    needles["credential"] = config["client_secret"] = "canary-credential-7f3b"
    simulated.simulator.seed(
        {"slug": "contoso", **_fixture()}, {"client_id": config["client_id"], "client_secret": config["client_secret"]}
    )
    base = f"/api/v1/clients/{world.one.slug}/connections"
    sent = {"alias": "canary", "platform": "m365", "name": "Canary", "config": config}
    added = await http.post(base, json=sent, headers=bearer)
    assert added.status_code == 201, added.text
    answers += [added, await http.get(base, headers=bearer), await http.get("/api/v1/platforms", headers=bearer)]
    needles["refused"] = "canary-refused-credential"
    refused = {**sent, "alias": "refused", "config": {**config, "client_secret": needles["refused"]}}
    answers.append(await http.post(base, json=refused, headers=bearer))
    malformed = {**sent, "config": {**config, "tenant_id": "!", "client_secret": needles["refused"]}}
    answers.append(await http.post(base, json=malformed, headers=bearer))
    answers.append(await http.post(f"{base}/{added.json()['id']}/test", headers=bearer))

    helpdesk = await world.context("helpdesk")
    hidden = await secret(helpdesk)
    link = await reveals.create_link(helpdesk, hidden.id)
    needles["link"] = token_of(link)
    needles["revealed"] = "canary-password"
    assert needles["revealed"] in (await http.post(f"/reveal/{needles['link']}")).text

    encoded = {name: needle.encode() for name, needle in needles.items()}
    flush(web)
    assert search(web.home, encoded) == set()
    redis = b"".join([key + (await get_redis().dump(key) or b"") for key in await get_redis().keys("*")])
    assert {name for name, needle in encoded.items() if needle in redis} == set()
    shown = capfd.readouterr()
    said = "\n".join([*logs.lines, shown.out, shown.err])
    assert {name for name, needle in needles.items() if needle in said} == set()
    assert {name for name, needle in needles.items() for answer in answers if needle in answer.text} == set()


def _fixture() -> dict:
    from connectors.m365.simulator.seed import demo_fixture

    return demo_fixture("contoso")


def test_the_search_finds_what_is_there(web: TestStack, world: World) -> None:
    flush(web)
    found = search(web.home, {"email": world.boss.email.encode()})
    assert any("postgres" in each and "pg_wal" not in each for each in found)
    assert any("pg_wal" in each for each in found)
