"""The demonstration: made once, made again harmlessly, and one run in it that is finished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.core.settings import Settings, get_settings
from app.data import routing
from app.services import auth, clients, connections, demo, runs, workflows
from connectors.aws.simulator.starter import running as aws_running
from tests.engine.kit import Workers
from tests.servers import TestStack
from tests.stack.platforms import m365


@pytest.fixture(scope="module")
def fresh(stack: TestStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestStack, Settings]]:
    """A database of its own, with both simulators. Settings are read anew, so what others lead to is put back."""
    former = dict(get_settings().endpoints)
    with ExitStack() as opened:
        mine = opened.enter_context(stack.clone())
        opened.enter_context(mine.as_process_settings())
        opened.enter_context(m365())
        get_settings().endpoints["aws"] = {"endpoint": opened.enter_context(aws_running())}
        yield mine, get_settings().model_copy(update={"home": tmp_path_factory.mktemp("home")})
    get_settings().endpoints.update(former)
    routing.configure("web", stack.settings)


async def test_it_is_made_once_and_again_harmlessly(fresh: tuple[TestStack, Settings]) -> None:
    _, settings = fresh
    made = await demo.seed(settings)
    file = settings.home / demo.ACCOUNTS_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == made
    assert {each["role"] for each in made} == set(demo.PEOPLE)
    assert await demo.seed(settings) == made
    routing.configure("web", settings)
    for slug in demo.CLIENTS:
        here = clients.system_context("test", (await clients.find_by_slug(slug)), slug)
        found = {view.platform: view for view in await connections.list_connections(here)}
        assert {view.state for view in found.values()} == {"ok"}
        assert {name: view.last_test.missing for name, view in found.items()} == {"m365": [], "aws": []}
        assert {view.published_version for view in await workflows.list_workflows(here)} == {1}


async def test_its_people_can_sign_in(fresh: tuple[TestStack, Settings]) -> None:
    _, settings = fresh
    made = await demo.seed(settings)
    routing.configure("web", settings)
    for person in made:
        signed = await auth.sign_in(
            email=person["email"], password=person["password"], otp=auth.present_code(person["totp_secret"]), ip=None
        )
        mine = await clients.clients_of(await auth.resolve_session(signed.token))
        assert {view.slug: view.role for view in mine} == dict.fromkeys(person["clients"], person["role"])


async def test_a_lost_file_gives_new_passwords(fresh: tuple[TestStack, Settings]) -> None:
    _, settings = fresh
    before = await demo.seed(settings)
    (settings.home / demo.ACCOUNTS_FILE).unlink()
    after = await demo.seed(settings)
    assert {each["email"] for each in after} == {each["email"] for each in before}
    assert {each["password"] for each in after}.isdisjoint({each["password"] for each in before})


async def test_one_run_is_finished(fresh: tuple[TestStack, Settings], tmp_path: Path) -> None:
    mine, settings = fresh
    await demo.seed(settings)
    assert await demo.show(settings, patience_s=0) is False
    workers = Workers(mine, tmp_path)
    try:
        workers.start()
        assert await demo.show(settings) is True
        assert await demo.show(settings) is False
        routing.configure("web", settings)
        here = clients.system_context("test", (await clients.find_by_slug("contoso")), "contoso")
        rows = await runs.list_runs(here)
        assert [(row.mode, row.state) for row in rows] == [("apply", "succeeded"), ("plan", "succeeded")]
        done = await runs.get(here, rows[0].id)
        assert [question.state for question in done.approvals] == ["approved"]
        assert len(done.reveals) == 1
    finally:
        workers.close()
