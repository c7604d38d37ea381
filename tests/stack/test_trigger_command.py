"""`opsloom trigger`: the same verbs on the command line, with JSON and exit status for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.ids import new_id
from app.services import auth, workflows
from tests.servers import TestStack
from tests.stack.people import World, sign_in

pytestmark = pytest.mark.usefixtures("calm")


class Command:
    """The command, as somebody's token makes it act."""

    def __init__(self, web: TestStack, world: World, token: str) -> None:
        self.group = "trigger"
        self.client = ["--client", world.one.slug]
        self.environment = {**os.environ, **web.environment(), "OPSLOOM_TOKEN": token}

    def __call__(self, *words: str) -> tuple[int, Any]:
        """Exit status and what was printed as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", self.group, *words, *self.client, "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
async def command(web: TestStack, world: World) -> Command:
    signed = await sign_in(web.superuser_dsn, world.boss)
    made = await auth.create_token(await auth.resolve_session(signed.token), name="triggers")
    return Command(web, world, made.token)


@pytest.fixture
async def flow(world: World) -> str:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "word": {"type": "string"}}}
    nodes = [{"id": "a", "type": "flow.noop"}]
    document = {"schema": "opsloom/workflow@1", "name": f"Commanded {new_id()}", "inputs": schema, "nodes": nodes}
    return (await workflows.import_document(await world.context("owner"), document=document)).name


async def test_a_schedule_from_making_to_removing(command: Command, flow: str) -> None:
    status, made = command(
        "create", f"Nightly {new_id()}", "--workflow", flow, "--cron", "30 2 * * *", "--zone", "Europe/Paris",
        "--input", "n=3", "--input", "word={{ payload.due }}", "--off",
    )  # fmt: skip
    assert (status, made["state"], made["inputs"]) == (0, "off", {"n": 3, "word": "{{ payload.due }}"})
    assert (made["config"]["zone"], made["config"]["catch_up"]) == ("Europe/Paris", "one")
    status, on = command("enable", made["id"])
    assert (status, on["state"], len(on["next"])) == (0, "ok", 5)
    fired = [command("fire", made["id"], "--idempotency-key", "k") for _ in range(2)]
    assert fired[0] == fired[1]
    assert (fired[0][0], fired[0][1]["outcome"]) == (0, "started")
    assert command("firings", made["id"])[1][0]["run"] == fired[0][1]["run"]
    assert command("remove", made["id"])[0] == 0
    assert command("show", made["id"])[0] == 1


async def test_a_configuration_that_is_no_object_is_not_passed_over(
    command: Command, flow: str, tmp_path: Path
) -> None:
    file = tmp_path / "filter.json"
    file.write_text('[{"outcomes": ["failed"]}]')
    status, problem = command("create", "Filtered", "--workflow", flow, "--on", "run_ended", "--config", str(file))
    assert (status, problem["code"], problem["errors"][0]["field"]) == (1, "not_json", "--config")


@pytest.mark.parametrize(("option", "text"), [("--percents", "10,half"), ("--pause", "10m")])
async def test_a_wave_by_no_number_is_refused_by_its_option(
    command: Command, world: World, flow: str, option: str, text: str
) -> None:
    command.group = "wave"
    status, problem = command("start", flow, "--to", world.two.slug, option, text)
    assert (status, [each["field"] for each in problem["errors"]]) == (1, [option])


@pytest.mark.parametrize(("option", "value"), [("--plan", "01a22d7e-701c-752e-9b3c-944e8c33e642"), ("--input", "n=1")])
async def test_what_a_table_cannot_have_is_not_passed_over(
    command: Command, flow: str, tmp_path: Path, option: str, value: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_text("n\n1\n")
    command.group = "workflow"
    status, problem = command("run", flow, "--inputs-csv", str(file), option, value)
    assert (status, [each["field"] for each in problem["errors"]]) == (1, [option])


async def test_a_schedule_that_never_comes_and_a_webhooks_secret(command: Command, flow: str) -> None:
    status, problem = command("preview", "0 0 30 2 *")
    assert (status, problem["code"], problem["errors"][0]["field"]) == (1, "cron_never", "cron")
    status, problem = command("create", "Both", "--workflow", flow, "--cron", "0 0 * * *", "--on", "run_ended")
    assert (status, problem["errors"][0]["field"]) == (1, "--cron")
    status, made = command("create", f"Hook {new_id()}", "--workflow", flow, "--webhook", "secret")
    assert (status, made["secret"][:4]) == (0, "ohs_")
    assert "secret" not in command("show", made["id"])[1]
    assert command("drift")[0] == 0
