"""The servers every other part needs: PostgreSQL, Valkey and OpenBao, started and made ready for the product."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import Unavailable
from app.core.files import write_private
from app.core.home import passable
from app.data.roles import ensure_roles
from app.embedded import openbao, postgres, valkey
from app.embedded.control import Supervisor, log_tail
from app.embedded.layout import Layout
from app.embedded.parts import Part
from app.embedded.processes import sweep
from app.embedded.progress import Progress
from app.embedded.state import State
from app.embedded.system_user import service_user

_READY_TIMEOUT_S = 60.0
_POLL_S = 0.05


@dataclass
class Stack:
    """One home's folders, memory and supervisor."""

    layout: Layout
    state: State
    supervisor: Supervisor
    user: str | None
    progress: Progress

    @classmethod
    def open(cls, layout: Layout, progress: Progress, *, owner: int | None = None) -> Stack:
        """Make the folders, end what a killed start left behind, and have a supervisor. Raises Unavailable."""
        user = service_user()
        layout.create(passable=user is not None)
        if user is not None and not passable(layout.home):
            raise Unavailable(
                f"PostgreSQL does not run as root, and the user {user} cannot enter {layout.home}. "
                "Choose another folder with OPSLOOM_HOME, or leave it unset."
            )
        supervisor = Supervisor(layout)
        if not supervisor.running():
            sweep(layout.home)
            supervisor.ensure(owner=owner)
        return cls(layout, State.load(layout), supervisor, user, progress)

    def running(self, name: str) -> bool:
        """Whether the supervisor keeps that part."""
        return name in self.supervisor.status()

    def start(self, part: Part, ready: Callable[[], bool], *, timeout_s: float = _READY_TIMEOUT_S) -> bool:
        """Start a part and wait until it is ready. Gives False where it ran already. Raises Unavailable."""
        started = self.supervisor.start(part)
        deadline = time.monotonic() + timeout_s
        while not ready():
            if time.monotonic() > deadline or self.failed(part.name):
                log = self.layout.logs / f"{part.name}.log"
                raise Unavailable(f"{part.name} did not become ready. The end of {log}:\n{log_tail(log)}")
            time.sleep(_POLL_S)
        return started

    def failed(self, name: str, *, attempts: int = 3) -> bool:
        """Whether it ended ``attempts`` times."""
        return int(self.supervisor.status().get(name, {}).get("restarts", 0)) >= attempts


def start_core(stack: Stack) -> None:
    """PostgreSQL with its roles and database, Valkey, OpenBao with its set-up, and the audit key. Idempotent."""
    _start_postgres(stack)
    _start_valkey(stack)
    _start_openbao(stack)
    audit_key(stack.layout)


def _start_postgres(stack: Stack) -> None:
    with stack.progress.step("PostgreSQL") as note:
        part = postgres.prepare(stack.layout, stack.state, stack.user, running=stack.running("postgres"))
        started = stack.start(part, lambda: postgres.ready(stack.state))
        superuser = postgres.dsn(stack.state, postgres.SUPERUSER, "postgres")
        ensure_roles(superuser, login_passwords(stack), database=postgres.DATABASE)
        note.text = "" if started else "running"


def login_passwords(stack: Stack) -> dict[str, str]:
    """The password of each login role, made at the first call."""
    found = {login: stack.state.password(login) for login in postgres.LOGINS}
    stack.state.save(stack.layout)
    return found


def _start_valkey(stack: Stack) -> None:
    with stack.progress.step("Valkey") as note:
        part = valkey.prepare(stack.layout, stack.state, running=stack.running("valkey"))
        note.text = "" if stack.start(part, lambda: valkey.ready(stack.state)) else "running"


def _start_openbao(stack: Stack) -> None:
    with stack.progress.step("OpenBao") as note:
        if not stack.running("openbao"):
            openbao.forget_unfinished(stack.layout, stack.state)
        regain = openbao.needs_regain(stack.layout, stack.state)
        started = _open_vault(stack, regain=regain)
        changed = openbao.set_up(stack.layout, stack.state)
        if regain:
            _open_vault(stack, regain=False)
        note.text = "set up" if changed else "" if started else "running"


def _open_vault(stack: Stack, *, regain: bool) -> bool:
    """Have the vault running, initialised and unsealed. Gives False where it ran already."""
    part = openbao.prepare(stack.layout, stack.state, running=stack.running("openbao"), regain=regain)
    started = stack.start(part, lambda: openbao.listening(stack.state))
    openbao.initialise(stack.layout, stack.state)
    stack.start(part, lambda: openbao.ready(stack.state))
    return started


def audit_key(layout: Layout) -> None:
    """The Ed25519 key that signs audit checkpoints, made once."""
    path = layout.keys / "audit-signing.pem"
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
