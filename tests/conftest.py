"""Fixtures for everybody.

``stack``  (session) real servers for tests that need them: PostgreSQL, Valkey and OpenBao, started once for the whole
           session and shared by all xdist workers, in a home of their own under the temporary folder. Each xdist worker
           has a database of its own, cloned from one that was migrated once, and a Valkey database of its own. All
           of it ends with the session, even with a killed one.

           stack.dsn(role)        address of this worker's database as ``web``, ``worker``, ``scheduler``, ``migrate``
           stack.superuser_dsn    the same as ``postgres``, who passes row-level security: for set-up and dumps only
           stack.redis_url        Valkey, this worker's database number
           stack.vault_url        OpenBao, set up as `app.data.vault_layout` says; sign in with
                                  ``stack.settings.vault_login("web" | "worker")``
           stack.settings         a Settings with all of these; ``get_settings()`` gives the same one
           stack.home             the servers' OPSLOOM_HOME; ``stack.home / "logs"`` has what they said
           stack.clone()          context manager: one more database, migrated and empty, as another such object;
                                  dropped at the end
           stack.control(name)    stop, start, kill the server ``postgres``, ``valkey`` or ``openbao`` (chaos tests).
                                  Only where the whole stack is yours: take ``private_stack`` for that.

``private_stack``  (function) the same for one test alone, with servers of its own that it may kill. Takes some seconds.

``product``  (session) the whole product as `opsloom up` starts it, on a port of its own, with its demo data: for the
           end-to-end tests. `product.url`, `.home`, `.settings`, `.accounts` (e-mail, password, role, …),
           `.code(email)`, `.opsloom("status", "--json")` (the command; gives a CompletedProcess), `.json(…)` (the same,
           parsed). Set OPSLOOM_E2E_HOME to the home of a stack that runs already to test that one: it is left running.

Tests that take one of the servers are marked ``stack`` by themselves: ``-m "not stack"`` runs what needs no server.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.product import CHROMIUM, Product, running_product
from tests.servers import PREFIX, Servers, TestStack, remove_left_homes

HOME_VARIABLE = "OPSLOOM_TEST_HOME"
OWNER_VARIABLE = "OPSLOOM_TEST_OWNER"
# Handed down to xdist's workers, or chosen by whoever runs the end-to-end tests against a stack of their own, or the
# storm of tests/chaos with a seed and a number of runs.
_KEPT = frozenset({HOME_VARIABLE, OWNER_VARIABLE, "OPSLOOM_E2E_HOME", "OPSLOOM_CHAOS_SEED", "OPSLOOM_CHAOS_RUNS"})
_OWNER = pytest.StashKey[bool]()
_NEED_SERVERS = frozenset({"stack", "private_stack"})


# How long an example takes says what else the machine does, not whether it is right.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    """The first process (xdist's controller, or the only one) chooses the home; the others inherit it."""
    if HOME_VARIABLE not in os.environ:
        remove_left_homes()
        os.environ[HOME_VARIABLE] = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        os.environ[OWNER_VARIABLE] = str(os.getpid())
        config.stash[_OWNER] = True
        # Ended from outside it ends as from the keyboard: what it has started goes with it. A shell that runs it in the
        # background has it ignore the keyboard, and what it starts would inherit that.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
    # No test may find a stack that a person runs from this folder, nor a setting of the caller's.
    for name in [name for name in os.environ if name.startswith("OPSLOOM_") and name not in _KEPT]:
        del os.environ[name]
    os.environ["OPSLOOM_HOME"] = os.environ[HOME_VARIABLE]


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.stash.get(_OWNER, False):
        home = Path(os.environ.pop(HOME_VARIABLE))
        del os.environ[OWNER_VARIABLE]
        Servers(home).stop()
        shutil.rmtree(home, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("e2e") and not CHROMIUM.exists():
            item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is not installed (apt-get install chromium)"))
        if _NEED_SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[TestStack]:
    """Real servers, shared: see the top of this file."""
    servers = Servers(Path(os.environ[HOME_VARIABLE]))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    servers.start()
    with servers.database(worker) as mine, mine.as_process_settings():
        yield mine


@pytest.fixture
def private_stack() -> Iterator[TestStack]:
    """Servers for one test, which may stop and kill them."""
    home = Path(tempfile.mkdtemp(prefix="opsloom-private-"))
    servers = Servers(home)
    servers.start()
    try:
        with servers.database("private") as mine, mine.as_process_settings():
            yield mine
    finally:
        servers.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    """The whole product: see the top of this file."""
    with running_product() as found:
        yield found
