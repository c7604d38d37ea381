"""`opsloom up` and `opsloom down`: the order in which everything starts and ends."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import Unavailable
from app.core.settings import Settings, get_settings
from app.embedded import demo, postgres, product, simulators, web
from app.embedded.configuration import write_settings
from app.embedded.control import Supervisor, log_tail
from app.embedded.core import Stack, start_core
from app.embedded.layout import Layout
from app.embedded.processes import sweep
from app.embedded.progress import Progress
from app.embedded.system_user import service_user

_READY_TIMEOUT_S = 90.0
_POLL_S = 0.2
_TOLD = "accounts"  # the sign-ins were printed at the end of a first start
_TOO_OLD = (3, 11)


@dataclass(frozen=True)
class Started:
    """What `up` has to tell. ``accounts`` is empty unless this start made them."""

    url: str
    home: Path
    accounts: list[dict[str, Any]]


def up(settings: Settings, progress: Progress) -> Started:
    """Have everything running and ready. Idempotent: what runs already, as it should be, is left alone.

    Raises Unavailable naming the part, its log or the port that is in the way.
    """
    _check_machine()
    layout = Layout(settings.home)
    layout.create(passable=service_user() is not None)
    with _alone(layout):
        _check_port(layout, settings)
        stack = Stack.open(layout, progress)
        start_core(stack)
        _migrate(stack)
        _start_simulators(stack)
        chosen = _write_settings(stack, settings)
        sources = _build(stack, chosen)
        _await_simulators(stack)
        accounts = _seed(stack, chosen)
        _start_product(stack, chosen, sources)
        _show(stack, chosen)
        if accounts:
            stack.state.done[_TOLD] = "1"
            stack.state.save(layout)
    return Started(chosen.base_url, layout.home, accounts)


def down(settings: Settings, progress: Progress) -> bool:
    """Stop everything of this home. Gives False where nothing ran."""
    layout = Layout(settings.home)
    if not layout.home.exists():
        return False
    with _alone(layout):
        supervisor = Supervisor(layout)
        ran = supervisor.running()
        with progress.step("Stopping") as note:
            if ran:
                supervisor.shut_down()
            left = sweep(layout.home)
            note.text = f"{left} left-over processes ended" if left else ""
    return ran or left > 0


def _check_machine() -> None:
    if not sys.platform.startswith("linux"):
        raise Unavailable("The embedded stack runs on Linux. Elsewhere give the addresses of your own servers.")
    if sys.version_info < _TOO_OLD:
        raise Unavailable("Python 3.11 or newer is needed.")


def _check_port(layout: Layout, settings: Settings) -> None:
    """Before anything is started: whoever else listens on the port must be known first."""
    supervisor = Supervisor(layout)
    if not supervisor.running():
        sweep(layout.home)  # a web application that outlived its supervisor would hold the port
    if "web" not in supervisor.status():
        web.check_port(settings)


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Only one `up` or `down` at a time; the lock goes with the process that holds it."""
    layout.run.mkdir(mode=0o700, exist_ok=True)
    with (layout.run / "command.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Unavailable(f"Another `opsloom up` or `down` is at work here (process {lock.read()}).") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _migrate(stack: Stack) -> None:
    from app.data import migrate  # loads SQLAlchemy, which `down` has no use for

    with stack.progress.step("Migrations") as note:
        dsn = postgres.dsn(stack.state, "opsloom_migrate")
        if migrate.pending(dsn):
            note.text = f"now at {migrate.upgrade(dsn)}"
        else:
            note.text = "none to do"


def _start_simulators(stack: Stack) -> None:
    """Only start them: their SDKs take seconds to load, and the front end can be built meanwhile."""
    for one in simulators.available():
        for name in one.ports:
            stack.state.port(name, running=stack.running(one.name))
        stack.supervisor.start(one.part(stack.layout, stack.state))
    stack.state.save(stack.layout)


def _await_simulators(stack: Stack) -> None:
    with stack.progress.step("Platform simulators"):
        for one in simulators.available():
            port = stack.state.ports[one.name]
            stack.start(one.part(stack.layout, stack.state), lambda port=port: simulators.listening(port))


def _write_settings(stack: Stack, settings: Settings) -> Settings:
    """settings.json, with the choices of this call that the product's processes must share."""
    chosen = {"port": settings.port, "workers": settings.workers, "web_workers": settings.web_workers}
    endpoints = simulators.endpoints(stack.layout, stack.state)
    written = write_settings(stack.layout, stack.state, endpoints=endpoints, host=settings.host, **chosen)
    get_settings.cache_clear()
    return written


def _build(stack: Stack, settings: Settings) -> str:
    """The front end, if it is not there as it should be. Gives the digest of the sources."""
    with stack.progress.step("Front end") as note:
        wanted = web.digest(settings)
        if web.is_built(stack.layout, wanted):
            note.text = "unchanged"
        else:
            stack.supervisor.stop("web")
            web.build(stack.layout, wanted)
            note.text = "built"
    return wanted


def _seed(stack: Stack, settings: Settings) -> list[dict[str, Any]]:
    """The demonstration's data. Gives its accounts until a whole start has told of them."""
    with stack.progress.step("Demo data") as note:
        accounts = demo.seed(settings)
        told = _TOLD in stack.state.done
        note.text = "kept" if told else "made"
    return [] if told else accounts


def _show(stack: Stack, settings: Settings) -> None:
    with stack.progress.step("A run to look at") as note:
        note.text = "made" if demo.show(settings) else "kept"


def _start_product(stack: Stack, settings: Settings, sources: str) -> None:
    with stack.progress.step("Web, scheduler, workers"):
        wanted = [web.part(stack.layout, settings, sources), *product.parts(settings, sources)]
        names = {part.name for part in wanted}
        gone = [name for name in stack.supervisor.status() if name.startswith("worker-") and name not in names]
        if gone:
            stack.supervisor.stop(*gone)
        for part in wanted:
            stack.supervisor.start(part)
        _await_ready(stack, settings, names)


def _await_ready(stack: Stack, settings: Settings, names: set[str]) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while not web.answers(settings, "/readyz"):
        broken = next((name for name in sorted(names) if stack.failed(name)), None)
        if broken or time.monotonic() > deadline:
            log = stack.layout.logs / f"{broken or 'web'}.log"
            raise Unavailable(f"{broken or 'web'} did not become ready. The end of {log}:\n{log_tail(log)}")
        time.sleep(_POLL_S)


def is_local(settings: Settings) -> bool:
    """Whether this home has an embedded stack; what only its owner may do asks this."""
    return settings.environment == "demo" and Layout(settings.home).state_file.exists()


def accounts(settings: Settings) -> list[dict[str, Any]]:
    """The demo accounts with their passwords. Raises Unavailable where there are none here."""
    try:
        found: list[dict[str, Any]] = json.loads(Layout(settings.home).demo_accounts_file.read_text())
    except FileNotFoundError:
        raise Unavailable("There are no demo accounts here: run `make up` first.") from None
    return found
