"""The whole job without a browser: import, plan, approval by a second person, run, undo; a table; bad input.

Every command is a process of its own against the running product, as somebody types it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from psycopg import sql

from app.core.home import PROJECT
from app.embedded import postgres
from app.embedded.layout import Layout
from app.embedded.state import State
from tests.product import Product

pytestmark = [pytest.mark.timeout(420)]

Json = dict[str, Any]
DONE, FAILED, BAD_USAGE, WAITS = 0, 1, 2, 3
TABLE = PROJECT / "docs" / "tutorial" / "new-starters.csv"
GRACE = "grace.o'hopper@contoso.com"
STARTER = {"email": GRACE, "first_name": "Grâce", "last_name": "O'Hopper", "department": "Engineering"}


@dataclass
class Terminal:
    """Somebody who types commands, and approves with a code that was not used before."""

    product: Product

    def type(self, *words: str, role: str = "engineer", client: str = "contoso") -> CompletedProcess[str]:
        return self.product.opsloom(*words, "--client", client, "--as", self.email(role), timeout_s=300)

    def ask(self, *words: str, role: str = "engineer") -> tuple[int, Json]:
        """Exit status and JSON of a command."""
        done = self.type(*words, "--json", role=role)
        return done.returncode, json.loads(done.stdout)

    def email(self, role: str) -> str:
        return str(self.account(role)["email"])

    def account(self, role: str) -> Json:
        return next(one for one in self.product.accounts if one["role"] == role)

    def code(self, role: str) -> str:
        return self.product.code(self.email(role))

    def approve(self, run: Json, role: str) -> tuple[int, Json]:
        """Say yes to the open question of the run."""
        (question,) = [each for each in run["approvals"] if each["state"] == "open"]
        given = ("--seal", question["seal"], "--otp", self.code(role))
        return self.ask("run", "approve", question["id"], *given, role=role)


# What moves by itself, and the trail, which keeps what was refused.
MOVING = ("audit_events", "audit_heads", "audit_checkpoints", "leaderships", "worker_leases")


def rows_of(product: Product) -> Json:
    """A digest of every table's rows."""
    layout = Layout(product.home)
    with psycopg.connect(postgres.dsn(State.load(layout), postgres.SUPERUSER)) as link:
        query = (
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'"
            " AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL(%s)"
        )
        names = [name for (name,) in link.execute(query, [list(MOVING)])]
        digest = sql.SQL("SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {} t")
        return {name: link.execute(digest.format(sql.Identifier(name))).fetchone() for name in names}


@pytest.fixture
def unchanged(terminal: Terminal) -> Iterator[None]:
    """Whatever the test types changes nothing."""
    before = rows_of(terminal.product)
    assert len(before) > 15
    yield
    after = rows_of(terminal.product)
    assert [name for name in before if after[name] != before[name]] == []


@pytest.fixture(scope="module")
def terminal(product: Product) -> Terminal:
    return Terminal(product)


@pytest.fixture(scope="module")
def imported(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A workflow out of a file: the demonstration's, where the client's policy alone asks for people."""
    document = json.loads(terminal.type("workflow", "export", "Onboard an employee").stdout)
    document["name"] = "Onboard from the command line"
    document["nodes"] = [node for node in document["nodes"] if node["type"] != "flow.approval"]
    kept = [edge for edge in document["edges"] if "ask" not in (edge["source"], edge["target"])]
    document["edges"] = [*kept, {"source": "team", "target": "machine"}]
    file = tmp_path_factory.mktemp("documents") / "onboard.json"
    file.write_text(json.dumps(document))
    status, made = terminal.ask("workflow", "import", str(file))
    assert (status, made["name"]) == (DONE, document["name"])
    assert made["version"] >= 1
    assert made["id"]
    return str(made["name"])


def platforms(terminal: Terminal) -> Json:
    """What the simulators hold for Contoso, without what undo says that it cannot give back."""
    dumps = {name: terminal.product.opsloom("sandbox", "dump", name).stdout for name in ("m365", "aws")}
    return {name: without_sessions(json.loads(dump)) for name, dump in dumps.items()}


def without_sessions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_sessions(item) for key, item in value.items() if "Sessions" not in key}
    return [without_sessions(item) for item in value] if isinstance(value, list) else value


def inputs(values: Json) -> list[str]:
    return [word for name, value in values.items() for word in ("--input", f"{name}={value}")]


def test_one_person_is_planned_approved_run_and_undone(terminal: Terminal, imported: str) -> None:
    before = platforms(terminal)
    status, plan = terminal.ask("workflow", "run", imported, *inputs(STARTER), "--mode", "plan")
    assert (status, plan["state"], plan["mode"]) == (DONE, "succeeded", "plan")
    assert plan["summary"]["add"] == 2, "the account and the machine"
    assert platforms(terminal) == before, "a plan writes nothing"

    status, run = terminal.ask("workflow", "run", imported, "--plan", plan["id"], "--mode", "apply")
    assert (status, run["state"], run["seal"]) == (WAITS, "waiting", plan["seal"])
    assert platforms(terminal) == before, "nothing is written before somebody has agreed"

    status, refused = terminal.approve(run, "engineer")
    assert (status, refused["status"]) == (FAILED, 403), "whoever asked cannot agree"
    status, run = terminal.approve(run, "approver")
    assert (status, run["state"]) == (DONE, "succeeded"), run["reason"]
    after = platforms(terminal)
    assert GRACE in json.dumps(after["m365"])
    assert f"ws-{GRACE.split('@')[0]}" in json.dumps(after["aws"])

    status, undo = terminal.ask("run", "undo", run["id"])
    assert (status, undo["of"]) == (WAITS, run["id"])
    status, undo = terminal.approve(undo, "owner")
    assert (status, undo["state"]) == (DONE, "succeeded"), undo["reason"]
    assert platforms(terminal) == before, "an undo gives back what was there"


def test_a_table_is_one_batch_and_the_bad_row_is_held_back(terminal: Terminal, imported: str) -> None:
    before = platforms(terminal)
    table = ("--inputs-csv", str(TABLE))
    runs = terminal.type("run", "list").stdout
    status, refused = terminal.ask("workflow", "run", imported, *table, "--mode", "apply")
    assert status == FAILED
    assert [(each["row"], each["field"]) for each in refused["errors"]] == [(9, "email")]
    told = terminal.type("workflow", "run", imported, *table, "--mode", "apply")
    assert "row 9: email: “not-an-address”" in told.stderr
    assert terminal.type("run", "list").stdout == runs, "nothing starts while a row is wrong"

    status, batch = terminal.ask("workflow", "run", imported, *table, "--skip-invalid", "--mode", "apply")
    assert (status, batch["state"], batch["kind"]) == (WAITS, "waiting", "batch")
    assert ([held["row"] for held in batch["held_back"]], len(batch["runs"])) == ([9], 11)
    found = batch["summary"]
    assert (found["add"], found["change"], found["none"]) == (14, 24, 3), "liam.o'connor is there already"
    assert platforms(terminal) == before

    status, batch = terminal.approve(batch, "approver")
    assert (status, batch["state"]) == (DONE, "succeeded"), batch["reason"]
    after = json.dumps(platforms(terminal)["m365"], ensure_ascii=False)
    assert all(name in after for name in ("Élodie O'Neil", "Björk Guðmundsdóttir", "Françoise d'Arcy"))
    assert "Greta" not in after

    status, undo = terminal.ask("run", "undo", batch["id"])
    assert (status, undo["kind"]) == (WAITS, "batch")
    status, undo = terminal.approve(undo, "owner")
    assert (status, undo["state"]) == (DONE, "succeeded"), undo["reason"]
    assert platforms(terminal) == before, "liam.o'connor, who was there before, still is"


def test_a_planned_table_is_carried_out_by_naming_its_plan(terminal: Terminal, imported: str) -> None:
    table = ("--inputs-csv", str(TABLE), "--skip-invalid")
    status, plan = terminal.ask("workflow", "run", imported, *table, "--mode", "plan")
    assert (status, plan["state"], plan["row_states"]) == (DONE, "succeeded", {"succeeded": 11})
    named = ("--plan", plan["id"], "--mode", "apply")
    status, refused = terminal.ask("workflow", "run", imported, *named, *table)
    assert (status, refused["errors"][0]["field"]) == (FAILED, "--plan")
    status, batch = terminal.ask("workflow", "run", imported, *named)
    assert (status, batch["kind"], batch["seal"]) == (WAITS, "batch", plan["seal"])
    assert [row["label"] for row in batch["runs"]] == [row["label"] for row in plan["runs"]]
    status, batch = terminal.ask("run", "cancel", batch["id"])
    assert (status, batch["state"]) == (DONE, "cancelled"), "that is what was asked for"


def node(name: str, **more: Any) -> Json:
    return {"id": name, "type": "flow.noop", **more}


def disable(user: str | None) -> Json:
    params = {} if user is None else {"user": user}
    return {"id": "stop", "type": "m365.user.disable", "connection": "m365", "params": params}


LINK = {"source": "a", "target": "b"}
GET = {"id": "look", "type": "m365.user.get", "connection": "m365", "params": {"user": "x@contoso.com"}}
DOCUMENTS: dict[str, tuple[list[Json], list[Json], str]] = {
    "a cycle": ([node("a"), node("b")], [LINK, {"source": "b", "target": "a"}], "a: edges: "),
    "an unknown step type": ([node("a", type="m365.user.teleport")], [], "a: type: "),
    "a missing parameter": ([disable(None)], [], "stop: params.user: "),
    "a broken expression": ([disable("{{ inputs. }}")], [], "stop: params.user: "),
    "a step that is not upstream": (
        [disable("{{ steps.look.output.user_principal_name }}"), GET],
        [{"source": "stop", "target": "look"}],
        "stop: params.user: look ",
    ),
    "an edge to nowhere": ([node("a")], [LINK], "a->b: target: "),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_wrong_document_is_refused_and_the_place_is_named(terminal: Terminal, tmp_path: Path, what: str) -> None:
    nodes, edges, place = DOCUMENTS[what]
    schema = {"type": "object", "properties": {}}
    document = {"schema": "opsloom/workflow@1", "name": what, "inputs": schema, "nodes": nodes, "edges": edges}
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(document))
    done = terminal.type("workflow", "import", str(file))
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert f"  {place}" in done.stderr


def test_nothing_came_of_wrong_documents(terminal: Terminal) -> None:
    listed = terminal.type("workflow", "list").stdout
    assert "Suspend an employee" in listed
    assert not [what for what in DOCUMENTS if what in listed]


FILES = {
    "half a document": (b'{"nodes": ', "is not JSON"),
    "not a text": (b"\xff\xfe\x00", "is not JSON"),
    "a list": (b"[1, 2]", "holds no workflow"),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_document_is_refused(terminal: Terminal, tmp_path: Path, what: str) -> None:
    content, said = FILES[what]
    file = tmp_path / "file.json"
    file.write_bytes(content)
    done = terminal.type("workflow", "import", str(file))
    assert done.returncode == FAILED
    assert said in done.stderr
    assert "Traceback" not in done.stderr


TABLES = {
    "nothing": ("", "empty"),
    "a header alone": ("email,first_name\n", "no rows"),
    "a doubled column": ("email,email\nx@contoso.com,y\n", "email"),
    "an unknown column": ("email,shoe\nx@contoso.com,42\n", "row 1: shoe: "),
    "a row that is too long": ("email\na@contoso.com\nb@contoso.com,2\n", "row 2: "),
    "an endless cell": ("email\n" + "x" * 200_000 + "\n", "Line 2"),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("what", TABLES)
def test_a_wrong_table_is_refused_and_the_row_is_named(terminal: Terminal, tmp_path: Path, what: str) -> None:
    content, said = TABLES[what]
    file = tmp_path / "table.csv"
    file.write_text(content)
    done = terminal.type("workflow", "run", "Onboard an employee", "--inputs-csv", str(file))
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


CALLS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "an input without a value": (("--input", "email"), FAILED, "--input: "),
    "inputs that do not fit": (("--input", "email=x", "--input", "shoe=3"), FAILED, "  email: "),
    "a version that is not there": ((*inputs(STARTER), "--version", "99"), FAILED, "no such version"),
    "a plan that is not there": (("--plan", "01900000-0000-7000-8000-000000000000"), FAILED, "plan"),
    "a plan that is no id": (("--plan", "yesterday"), BAD_USAGE, "--plan"),
    "a mode that is none": (("--mode", "maybe"), BAD_USAGE, "--mode"),
    "an option that is none": (("--colour", "red"), BAD_USAGE, "--colour"),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("what", CALLS)
def test_a_wrong_call_says_what_is_wrong(terminal: Terminal, what: str) -> None:
    words, status, said = CALLS[what]
    done = terminal.type("workflow", "run", "Onboard an employee", *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_another_clients_run_is_not_there(terminal: Terminal) -> None:
    _, plan = terminal.ask("workflow", "run", "Suspend an employee", "--input", "email=zoe.lefevre@contoso.com")
    for verb in ("show", "undo", "cancel", "retry"):
        done = terminal.type("run", verb, plan["id"], client="fabrikam")
        assert (done.returncode, done.stderr) == (FAILED, "opsloom: There is no such run here.\n")


def test_a_code_that_is_wrong_or_was_used_decides_nothing(terminal: Terminal, imported: str) -> None:
    values = {**STARTER, "department": "Sales"}
    _, run = terminal.ask("workflow", "run", imported, *inputs(values), "--mode", "apply")
    (question,) = run["approvals"]
    code = terminal.code("owner")
    deny = ("run", "deny", question["id"], "--seal", question["seal"], "--reason", "A test.")
    yes = ("run", "approve", question["id"], "--seal", question["seal"])
    wrong = terminal.type(*yes, "--otp", f"{(int(code) + 1) % 1_000_000:06d}", role="owner")
    assert (wrong.returncode, "otp: " in wrong.stderr) == (FAILED, True)
    other = terminal.type("run", "approve", question["id"], "--seal", "0" * 64, "--otp", code, role="owner")
    assert other.returncode == FAILED, "another seal than the one that was seen"
    status, run = terminal.ask(*deny, role="owner")
    assert (status, run["state"]) == (FAILED, "cancelled")
