"""A step that computes, which only the bench has. It is what a connector's action is to the engine: planned, sealed,
its intent committed before it, its work done in a thread as that of a blocking SDK is, its outcome recorded and
audited.
"""

from __future__ import annotations

import asyncio
from typing import Any

from app.engine.steps import registry
from bench.peers.common import fibo
from connectors.base import Applied, Attempt, Change, Output, Params, Planned, Text, World, WriteAction, param


class FiboParams(Params):
    n: int = param("Number", "Nombre")


class FiboOutput(Output):
    value: int = param("Value", "Valeur")


class Fibo(WriteAction[Any, FiboParams]):
    """Computes a Fibonacci number in the slow way."""

    id = "bench.fibo.compute"
    title = Text("Fibonacci", "Fibonacci")
    summary = Text("Computes a Fibonacci number.", "Calcule un nombre de Fibonacci.")
    category = "flow"
    icon = "braces"
    reversible = False
    irreversible_reason = Text("There is nothing to take back.", "Il n’y a rien à reprendre.")
    Params = FiboParams
    Output = FiboOutput

    async def plan(self, client: Any, params: FiboParams, world: World) -> Planned:
        change = Change(kind="create", target=f"bench.fibo:{params.n}", after={"n": params.n}, reversible=False)
        return Planned(change, {})

    async def apply(self, client: Any, params: FiboParams, change: Change, attempt: Attempt) -> Applied:
        return Applied(change, {"value": await asyncio.to_thread(fibo, params.n)})


def register() -> None:
    """Make the step known to this process, before anybody has asked which there are."""
    registry.OWN_ACTIONS = (*registry.OWN_ACTIONS, Fibo)


if __name__ == "__main__":
    # The process `opsloom worker`, with the step beside those of the product.
    from app.worker import run_worker

    register()
    run_worker()
