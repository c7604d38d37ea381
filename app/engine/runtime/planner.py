"""The plan: the run's own code, stopped before each write. Reads are real; nothing is written, ever."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from app.engine.core.again import stored
from app.engine.core.document import ERROR_PORT
from app.engine.core.events import StepExpanded, StepSkipped, StepSucceeded
from app.engine.core.graph import Graph, GraphNode
from app.engine.core.plan import FinishBody, SkipStep, StartStep, advance, next_commands
from app.engine.core.planned import Plan, PlannedStep
from app.engine.core.retry import DEFAULT_RETRY, next_delay
from app.engine.core.seal import seal
from app.engine.core.state import RunState
from app.engine.core.transitions import begin
from app.engine.core.values import Unknown, contains_unknown, to_json
from app.engine.core.variables import sealed_variables
from app.engine.runtime.pace import PLAN_PATIENCE_S, HeldBack
from app.engine.runtime.stage import Stage, bounded_output, error_json, validated
from app.engine.runtime.trouble import OURS
from app.engine.steps.base import Decision, Expand
from connectors.base import Change, World
from connectors.errors import NotFound

Json = dict[str, Any]
T = TypeVar("T")
Seen = StepSkipped | StepSucceeded | StepExpanded
log = structlog.get_logger(__name__)


# A longer wait for the next look than this is not sat out: the run is given back.
_SAT_OUT_S = 2.0
# Where the run cannot be given back (the rows of a batch), no wait for the next look is longer.
_LONGEST_WAIT_S = 60.0


class PlanAgain(Exception):
    """A look at a platform failed in passing: the plan is to be made anew in ``after_s`` seconds."""

    def __init__(self, node: str, error: Json, after_s: float, tries: dict[str, int]) -> None:
        super().__init__(f"{node}: {error['code']}")
        self.node, self.error, self.after_s, self.tries = node, error, after_s, tries


@dataclass
class Patience:
    """How long a plan waits for platforms. The rows of a batch share one.

    ``turn_s`` is how long one look waits for its turn. ``tries`` are the looks of each step that failed in passing;
    ``away`` the connections that were waited for as long as a step says: nobody waits for them once more.
    ``gives_back``: long waits are the queue's.
    """

    turn_s: float = PLAN_PATIENCE_S
    gives_back: bool = True
    tries: dict[str, int] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)


class Planner:
    """Makes the plan of one run. ``world`` is shared by a batch's rows, so that each sees what earlier ones take."""

    def __init__(self, stage: Stage, world: World | None = None, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._stage = stage
        self._world = world or World()
        self._steps: list[PlannedStep] = []

    async def plan(self) -> Plan:
        """Every step's change in the order it would be made. A refusal is part of the plan, not an error.

        Raises HeldBack where a connection is to be left alone for longer than one look waits, and PlanAgain where a
        look failed in passing and the next one is later than is sat out.
        """
        state = begin(self._stage.graph, self._stage.record.only_node, self._stage.record.kept)
        commands = deque(next_commands(state.graph, state))
        while commands:
            command = commands.popleft()
            event: Seen | None = None
            if isinstance(command, SkipStep):
                event = StepSkipped(command.node, command.port)
            elif isinstance(command, StartStep):
                event = await self._look(state.graph.nodes[command.node], state, command.maybe)
            elif isinstance(command, FinishBody):
                event = self._finish_body(state.graph.nodes[command.node], state)
            if event:
                state, found = advance(state.graph, state, event)
                commands.extend(found)
        return Plan(steps=tuple(self._steps), connections=_connections(self._stage))

    def _finish_body(self, node: GraphNode, state: RunState) -> Seen:
        """What a step that holds others will give. Another round is not planned: one stands for all."""
        try:
            answer = self._stage.finish_body(state, node, "plan")
        except Exception as error:
            return self._refused(node, state, state.node(node.id).maybe, error)
        output, port = (answer.output, answer.port) if isinstance(answer, Decision) else ({}, node.info.ports[0])
        return StepSucceeded(node.id, output=to_json(output), port=port)

    def _refused(self, node: GraphNode, state: RunState, maybe: bool, error: Exception) -> StepSucceeded:
        """A refusal becomes part of the plan, which goes on as if the step were done."""
        problem = error_json(error)
        if problem["code"] == "internal":
            log.exception("plan.step_failed", node=node.id)
        self._add(node, maybe, problem=problem, handled=_is_handled(node, state))
        port = node.ports[0] if node.node.on_error != "branch" else ERROR_PORT
        return StepSucceeded(node.id, output=to_json(Unknown(f"steps.{node.id}.output")), port=port)

    async def _look(self, node: GraphNode, state: RunState, maybe: bool) -> Seen:
        """Plan one step; what its output will be, with unknowns where nobody can know."""
        try:
            if expanded := self._laid_out(node, state):
                self._add(node, maybe)
                return expanded
            output, port, change, drift = await self._foreseen(node, state)
        except (HeldBack, PlanAgain, *OURS):
            raise
        except Exception as error:
            return self._refused(node, state, maybe, error)
        shown = to_json(output) if node.info.effect != "none" else None
        self._add(node, maybe, change=change, output=shown if isinstance(shown, dict) else None, drift=drift)
        return StepSucceeded(node.id, output=to_json(output), port=port)

    async def _foreseen(self, node: GraphNode, state: RunState) -> tuple[Any, str, Json | None, Json | None]:
        """What :meth:`_foresee` gives, looked for again as often as the step may be tried: looking is harmless."""
        while True:
            try:
                return await self._foresee(node, state)
            except (HeldBack, *OURS):
                raise
            except Exception as error:
                if not await self._waited_out(node, error):
                    raise

    async def _waited_out(self, node: GraphNode, error: Exception) -> bool:
        """Wait until the next look, where waiting is the remedy and there is a next one. Raises PlanAgain."""
        found, alias, patience = error_json(error), node.node.connection or "", self._patience
        tries = patience.tries[node.id] = patience.tries.get(node.id, 0) + 1
        delay = None if alias in patience.away else next_delay(node.node.retry, tries, found)
        if delay is None:
            if found["remedy"] in DEFAULT_RETRY.on:
                patience.away.add(alias)
            return False
        if patience.gives_back and delay > _SAT_OUT_S:
            raise PlanAgain(node.id, found, delay, patience.tries)
        await asyncio.sleep(min(delay, _LONGEST_WAIT_S))
        return True

    def _add(self, node: GraphNode, maybe: bool, *, problem: Json | None = None, **found: Any) -> None:
        self._steps.append(
            PlannedStep(
                node=node.id,
                name=node.node.name or node.id,
                type=node.node.type,
                version=node.info.version,
                risk=node.info.risk,
                problem=problem,
                maybe=maybe,
                **found,
            )
        )

    def _laid_out(self, node: GraphNode, state: RunState) -> StepExpanded | None:
        """For a step that holds others: its body laid out; None where there is nothing to do in it."""
        if node.info.body is None:
            return None
        scope = self._stage.scope(state, node.id, planning=True)
        rendered = self._stage.rendered(node, scope)
        answer = self._stage.decide(node, rendered, scope, "plan")
        return self._stage.expansion(state, node, answer, rendered) if isinstance(answer, Expand) else None

    async def _foresee(self, node: GraphNode, state: RunState) -> tuple[Any, str, Json | None, Json | None]:
        """Output, port, change and drift of one step."""
        kind = self._stage.kind(node)
        if self._stage.is_undo and kind != "write":
            return {}, node.info.ports[0], None, None
        scope = self._stage.scope(state, node.id, planning=True)
        rendered = {} if self._stage.is_undo else self._stage.rendered(node, scope)
        if kind == "flow":
            answer = self._stage.decide(node, rendered, scope, "plan")
            if not isinstance(answer, Decision):
                return {}, node.ports[0], None, None
            return answer.output, answer.port, None, None
        if kind == "read":
            return await self._read(node, rendered), node.info.ports[0], None, None
        output, change, drift = await self._write(node, rendered)
        return output, node.info.ports[0], change, drift

    async def _read(self, node: GraphNode, rendered: Json) -> Any:
        unknown = Unknown(f"steps.{node.id}.output")
        if contains_unknown(rendered):
            return unknown
        reader = self._stage.reader(node)
        alias = node.node.connection or ""
        client = await self._stage.clients.get(alias)
        params = validated(reader, rendered)
        try:
            found = await self._bounded(node, alias, lambda: reader.read(client, params))
        except NotFound:
            # What an earlier step creates cannot be read yet; only the run will tell.
            if any(step.writes for step in self._steps):
                return unknown
            raise
        return bounded_output(found.model_dump(mode="json"))

    async def _write(self, node: GraphNode, rendered: Json) -> tuple[Any, Json, Json | None]:
        if contains_unknown(rendered):
            # The kind alone says that only the run will tell; the parameters are shown with their expressions.
            after = to_json(rendered)
            target = f"{node.info.connection or 'client.variable'}:?"
            change = Change(kind="unknown", target=target, after=after, reversible=node.info.reversible)
            return Unknown(f"steps.{node.id}.output"), change.model_dump(mode="json"), None
        binding = await self._stage.binding(node, rendered)
        alias = node.node.connection or ""
        prospect = await self._bounded(node, alias, lambda: binding.plan(self._world))
        self._world.record(prospect.change)
        output = {} if self._stage.is_undo else self._with_unknowns(node, prospect.output)
        return output, prospect.change.model_dump(mode="json"), prospect.drift

    async def _bounded(self, node: GraphNode, alias: str, work: Callable[[], Awaitable[T]]) -> T:
        """A look at the platform, each try awaited as long as the step itself may take. Raises TimeoutError."""

        async def once() -> T:
            async with asyncio.timeout(node.timeout_s):
                return await work()

        return await self._stage.clients.look(alias, once, patience_s=self._patience.turn_s)

    def _with_unknowns(self, node: GraphNode, output: Json) -> Json:
        """The planned output, with an unknown for each field that only the platform can tell."""
        fields = node.info.output_schema.get("properties", {})
        missing = {name: Unknown(f"steps.{node.id}.output.{name}") for name in fields if name not in output}
        return {**output, **missing}


def _is_handled(node: GraphNode, state: RunState) -> bool:
    """Whether the workflow goes on when this step fails: it says so, or a step around it does."""
    if node.node.on_error != "stop":
        return True
    around = state.graph.frames(node.index)
    return any(
        state.bodies[layout.number].collect or state.graph.by_index[layout.owner].node.on_error != "stop"
        for layout, _ in around
    )


def _connections(stage: Stage) -> dict[str, Json]:
    """Where the aliases lead that the steps use, those inside others too."""
    known = stage.record.connections
    used = sorted(_aliases(stage.graph) & known.keys())
    return {alias: {"id": str(known[alias]["id"]), "tenant": known[alias].get("tenant")} for alias in used}


def _aliases(graph: Graph) -> set[str]:
    own = {node.node.connection for node in graph.by_index if node.node.connection}
    return own.union(*(_aliases(node.body) for node in graph.by_index if node.body))


def seal_of(stage: Stage, plan: Plan) -> str:
    """The seal over a plan: the document, the step types' versions, connections, variables, inputs and changes."""
    record = stage.record
    changes = [(step.node, step.change) for step in plan.steps if step.change is not None]
    return seal(
        stage.graph.document_hash,
        {step.type: step.version for step in plan.steps},
        plan.connections,
        sealed_variables(record.client["variables"], record.document, (change for _, change in changes)),
        record.run["inputs"],
        [*changes, *(((step.node, {"kind": "drift", "after": step.drift})) for step in plan.steps if step.drift)],
        stored(record.kept),
    )
