"""Starting processes that die with their parent, finding what a killed start left behind, and ending it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from app.embedded.parts import STACK_VARIABLE

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(sig: int, parent: int) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends ``sig`` to the child once the thread that started it has ended."""

    def arm() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, sig, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return arm


def stack_env(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process of the stack in ``home``. Compiled modules are kept: starting is twice as fast."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "OPSLOOM_HOME": str(home), STACK_VARIABLE: str(home), **(extra or {})}


def run_tool(
    argv: Iterable[str],
    *,
    home: Path,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    timeout_s: float = 300,
) -> str:
    """Run a command to its end and give what it printed.

    It dies with this process. Raises RuntimeError with the last lines of its output where it fails or takes too long.
    """
    command = list(argv)
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command,
            env=stack_env(home, env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            preexec_fn=die_with_parent(signal.SIGKILL, os.getpid()),
            **as_user(user),
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{Path(command[0]).name} took longer than {timeout_s:.0f} s") from error
    if log is not None:
        log.write_text(done.stdout)
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise RuntimeError(f"{Path(command[0]).name} failed ({done.returncode}):\n{tail}")
    return done.stdout


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments for subprocess that run the child as the system user ``user``, with that user's group alone."""
    return {} if user is None else {"user": user, "group": _group_of(user), "extra_groups": []}


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def alive(pid: int) -> bool:
    """Whether a process of that number runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int) -> bool:
    """Whether the process table has that number no more; a zombie of our own is taken out of it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not Path(f"/proc/{pid}").exists()


def ancestors(pid: int) -> set[int]:
    """``pid`` and every process above it."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            break
    return found


def belonging(home: Path) -> list[int]:
    """Processes of the stack in ``home``, except this one and those above it.

    They are known by their environment. PostgreSQL writes over its own, so its processes are known by their working
    directory.
    """
    mark = f"{STACK_VARIABLE}={home}".encode()
    ours = ancestors(os.getpid())
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in numbers if pid not in ours and alive(pid) and _belongs(pid, mark, str(home))]


def _belongs(pid: int, mark: bytes, home: str) -> bool:
    proc = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        if mark in (proc / "environ").read_bytes().split(b"\0"):
            return True
    with contextlib.suppress(OSError):
        return (proc / "cwd").readlink().is_relative_to(Path(home) / "postgres")
    return False


def end(pids: Iterable[int], *, sig: int = signal.SIGTERM, patience_s: float = 5.0) -> None:
    """Ask processes to end, wait, and kill those that stay."""
    waiting = set(pids)
    for number, patience in ((sig, patience_s), (signal.SIGKILL, 5.0)):
        for pid in waiting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while waiting and time.monotonic() < deadline:
            waiting = {pid for pid in waiting if alive(pid)}
            if waiting:
                time.sleep(_POLL_S)
        if not waiting:
            return


def sweep(home: Path, *, patience_s: float = 5.0) -> int:
    """End every process of the stack in ``home``. Gives how many there were.

    SIGINT is PostgreSQL's fast shutdown, and ends everything else too.
    """
    found = belonging(home)
    end(found, sig=signal.SIGINT, patience_s=patience_s)
    return len(found)
