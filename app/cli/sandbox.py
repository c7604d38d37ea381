"""sandbox: the simulators beside an embedded stack: what they hold, what they were sent, how they are to fail."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import httpx
import typer

from app.cli.common import Json, emit, local_settings
from app.core.errors import Missing, Unavailable
from app.core.settings import Settings

app = typer.Typer()

Platform = Annotated[str, typer.Argument(help="m365, aws, http, mail or webhook.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Only this tenant.")]
_TIMEOUT_S = 30


@app.callback()
def sandbox() -> None:
    """The platforms' simulators."""


@app.command("list")
def list_simulators(json: Json = False) -> None:
    """Their addresses, and whether they answer."""
    from app.embedded.status import status

    found = status(local_settings())["parts"].get("simulators", {})
    emit(
        found, as_json=json, human=lambda told: "\n".join(f"{k:<8} {v['state']:<6} {v['url']}" for k, v in told.items())
    )


@app.command()
def dump(platform: Platform, tenant: Tenant = "") -> None:
    """Everything a write can change, as JSON; the same before a run and after its undo."""
    _show(_ask("GET", platform, "dump", tenant=tenant))


@app.command()
def log(platform: Platform, tenant: Tenant = "") -> None:
    """The requests that it was sent, as JSON."""
    _show(_ask("GET", platform, "log", tenant=tenant))


@app.command()
def fail(
    platform: Platform,
    kind: Annotated[
        str, typer.Argument(help="throttle, error, delay, slow, drop, timeout, …: as the simulator knows.")
    ],
    times: Annotated[int, typer.Option(help="How many requests.")] = 1,
    operation: Annotated[str, typer.Option(help="Only this operation.")] = "",
    writes: Annotated[bool, typer.Option("--writes", help="Only requests that write.")] = False,
) -> None:
    """Have it fail the next requests."""
    wanted: dict[str, Any] = {"kind": kind, "times": times}
    wanted |= {"operation": operation} if operation else {}
    wanted |= {"writes": True} if writes else {}
    _show(_ask("POST", platform, "faults", body=wanted))


@app.command()
def mend(platform: Platform) -> None:
    """Take every fault away."""
    _ask("DELETE", platform, "faults")


def _address(settings: Settings, platform: str) -> str:
    from app.embedded import simulators
    from app.embedded.layout import Layout
    from app.embedded.state import State

    state = State.load(Layout(settings.home))
    for one in simulators.available():
        if one.platform == platform and one.name in state.ports:
            # Its control page answers without TLS too, on the same port.
            return f"http://localhost:{state.ports[one.name]}"
    raise Missing(f"simulator {platform}")


def _ask(method: str, platform: str, route: str, *, tenant: str = "", body: Any = None) -> Any:
    """One request to a simulator's own pages. Raises Missing, or Unavailable with what it answered."""
    url = f"{_address(local_settings(), platform)}/_sim/{route}"
    try:
        answer = httpx.request(
            method, url, params={"tenant": tenant} if tenant else None, json=body, timeout=_TIMEOUT_S, trust_env=False
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"The simulator of {platform} does not answer ({error}).") from error
    if answer.is_error:
        raise Unavailable(f"The simulator of {platform} refused: {answer.text[:300]}")
    return answer.json() if answer.content else None


def _show(value: Any) -> None:
    print(json_module.dumps(value, indent=1, ensure_ascii=False))
