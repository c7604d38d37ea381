"""What a walk knows of its run: the graph, the platforms' clients, and how a node becomes something to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

from pydantic import ValidationError

from app.core.errors import OpsloomError
from app.core.storable import REFUSED, storable, unstorable
from app.engine.core.again import restored
from app.engine.core.events import StepExpanded
from app.engine.core.expressions import ExpressionError, evaluate, render_params
from app.engine.core.graph import Graph, GraphNode, Layout
from app.engine.core.inputs import check_inputs
from app.engine.core.iterations import failure_of, failure_of_body, latest_layout, scope_after
from app.engine.core.outputs import MAX_OUTPUT, is_too_big
from app.engine.core.state import RunState
from app.engine.core.transitions import fold
from app.engine.core.undo import not_undoable, undo_graph
from app.engine.core.values import Scope, contains_unknown, scope_at, to_json
from app.engine.core.variables import variables_after, variables_at
from app.engine.runtime.bindings import Backward, Binding, Forward
from app.engine.runtime.clients import Clients
from app.engine.runtime.compiled import graph_of
from app.engine.runtime.record import Record
from app.engine.steps.base import BodyStep, Decision, Expand, Failure, Iteration, View, Waiting
from app.engine.steps.registry import action, flow_step, is_flow, is_own
from app.engine.steps.set_variable import OwnData
from connectors.base import Change, Done, Params, ReadAction, WriteAction
from connectors.errors import ConnectorError, Rejected

Json = dict[str, Any]


class StepFailure(Exception):
    """A flow step says that it fails."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class BodyFailure(Exception):
    """A step inside another one failed, and the outer one with it. ``error`` is the inner one's."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("message", "")))
        self.error = dict(error)


# Steps of one run with all that is laid out: a longer list is a batch, whose rows are runs of their own.
MAX_LAID_OUT = 20_000


@dataclass(frozen=True)
class Stage:
    """One run with its graph (for an undo: the chain of what is taken back)."""

    record: Record
    clients: Clients
    own: OwnData

    @cached_property
    def origin_state(self) -> RunState | None:
        """For an undo: the state of the run that it reverses."""
        origin = self.record.origin
        if origin is None:
            return None
        graph = graph_of(origin.document)
        return fold(graph, origin.events, origin.run["only_node"], restored(origin.run["extra"].get("kept", ())))

    @cached_property
    def graph(self) -> Graph:
        if self.origin_state is not None:
            return undo_graph(self.origin_state)
        return graph_of(self.record.document)

    @cached_property
    def left_behind(self) -> list[str]:
        """For an undo: steps whose effect stays."""
        return not_undoable(self.origin_state) if self.origin_state else []

    @property
    def is_undo(self) -> bool:
        return self.record.origin is not None

    def scope(self, state: RunState, node: str, *, planning: bool = False) -> Scope:
        """What the expressions of ``node`` see."""
        client = variables_at(self.record.client["variables"], state, node, planning=planning)
        return scope_at(self._around(client, planning=planning), state, node, planning=planning)

    def _around(self, client: Mapping[str, Any], *, planning: bool) -> Scope:
        run = self.record.planned_as_run if planning else self.record.seen_as_run
        return Scope(inputs=self.record.run["inputs"], client=client, run=run)

    def rendered(self, node: GraphNode, scope: Scope) -> Json:
        """The node's parameters with their templates filled in. Raises ExpressionError, and Rejected for a text that
        cannot be kept: what is sent must be what is written down."""
        found = render_params(node.node, node.info, scope)
        if (place := unstorable(found)) is not None:
            raise Rejected(f"{place}: {REFUSED}", code="not_storable", field=place)
        return found

    def kind(self, node: GraphNode) -> str:
        """``flow``, ``read`` or ``write``: how the node is performed."""
        if is_flow(node.node.type):
            return "flow"
        return "write" if node.info.writes else "read"

    @cached_property
    def asks_platforms(self) -> bool:
        """Whether planning has to look at a platform."""
        return self._any_platform(self.graph)

    def _any_platform(self, graph: Graph) -> bool:
        return any(
            self.kind(each) != "flow" or (each.body and self._any_platform(each.body)) for each in graph.by_index
        )

    def decide(
        self, node: GraphNode, rendered: Json, scope: Scope, mode: Literal["plan", "apply"]
    ) -> Decision | Waiting | Expand:
        """What a flow step answers. Raises StepFailure where it says that it fails."""
        step = flow_step(node.node.type)
        unknown = contains_unknown(rendered)
        params = step.Params.model_construct(**rendered) if unknown else validated(step, rendered)
        answer = step.decide(params, View(node=node.node.id, mode=mode, scope=scope))
        if isinstance(answer, Failure):
            raise StepFailure(answer)
        if isinstance(answer, Decision):
            bounded_output(answer.output)
        return answer

    def expansion(self, state: RunState, node: GraphNode, expand: Expand, rendered: Json | None) -> StepExpanded:
        """The event that lays out a step's body. Raises StepFailure where it would be too large, or its inputs are
        wrong."""
        assert node.body is not None
        size = len(state.graph.order) + len(expand.items) * len(node.body.order)
        if size > MAX_LAID_OUT:
            message = f"{len(expand.items)} items make {size} steps; a run has at most {MAX_LAID_OUT}. Start a batch."
            details = {"items": len(expand.items), "limit": MAX_LAID_OUT}
            raise StepFailure(Failure(message, code="too_many_items", details=details))
        items: tuple[Any, ...] = expand.items
        if node.info.body == "workflow":
            items = (_own_inputs(node.body.document.inputs, items[0]),)
        return StepExpanded(
            node.id,
            tuple(to_json(item) for item in items),
            first=expand.first,
            limit=expand.limit,
            collect=expand.collect,
            unknown=expand.unknown,
            params=to_json(rendered) if rendered is not None else None,
        )

    def finish_body(
        self, state: RunState, node: GraphNode, mode: Literal["plan", "apply"]
    ) -> Decision | Waiting | Expand:
        """What a step answers when its body is over. Raises StepFailure with what failed in it."""
        layout = latest_layout(state, node)
        if error := failure_of_body(state, layout):
            raise BodyFailure(error)
        planning = mode == "plan"
        scope = self.scope(state, node.id, planning=planning)
        step = flow_step(node.node.type)
        assert isinstance(step, BodyStep)
        rendered = self.rendered(node, scope)
        params = step.Params.model_construct(**rendered) if contains_unknown(rendered) else validated(step, rendered)
        ended = [self._iteration(state, layout, number, planning=planning) for number in range(layout.count)]
        answer = step.finish(params, ended, View(node=node.node.id, mode=mode, scope=scope))
        if isinstance(answer, Failure):
            raise StepFailure(answer)
        return answer

    def _iteration(self, state: RunState, layout: Layout, number: int, *, planning: bool) -> Iteration:
        client = variables_after(self.record.client["variables"], state, layout, number, planning=planning)
        scope = scope_after(self._around(client, planning=planning), state, layout, number, planning=planning)
        return Iteration(layout.first + number, failure_of(state, layout, number), lambda text: evaluate(text, scope))

    def reader(self, node: GraphNode) -> ReadAction[Any, Any]:
        return reader_of(node.node.type)

    def writer(self, node: GraphNode) -> WriteAction[Any, Any]:
        found = action(node.node.type)
        assert isinstance(found, WriteAction)
        return found

    async def binding(self, node: GraphNode, rendered: Json) -> Binding:
        """The node's write, bound to client and parameters. Raises ConnectorError (Rejected: a wrong parameter)."""
        own = is_own(node.node.type)
        client: Any = self.own if own else await self.clients.get(node.node.connection or "")
        if self.is_undo:
            return Backward(self.writer(node), client, self.done(node))
        return Forward(self.writer(node), client, validated(self.writer(node), rendered))

    def done(self, node: GraphNode) -> Done:
        """For an undo: the step as the reversed run recorded it."""
        assert self.origin_state is not None
        was = self.origin_state.node(node.id)
        return Done(params=dict(was.params or {}), change=Change.model_validate(was.change), output=was.output or {})


def reader_of(action_id: str) -> ReadAction[Any, Any]:
    """The action of this id, which only looks. Raises Rejected where there is none."""
    try:
        found = action(action_id)
    except KeyError:
        found = None
    if not isinstance(found, ReadAction):
        raise Rejected(f"There is no action {action_id} that reads.", code="not_a_read", field="read")
    return found


def bounded_output(output: Any) -> Any:
    """``output`` as it is kept, where it is not too much for that. Raises Rejected."""
    if is_too_big(output):
        limit = MAX_OUTPUT // 1_000_000
        message = f"This step gives more than {limit} MB, which is too much to keep with a run. Ask for less."
        raise Rejected(message, code="output_too_big", details={"limit": MAX_OUTPUT})
    return storable(output)


class HasParams(Protocol):
    Params: ClassVar[type[Params]]


def validated(found: HasParams, rendered: Mapping[str, Any]) -> Any:
    """``rendered`` as the action's parameters. Raises Rejected naming the first field that is wrong."""
    try:
        return found.Params.model_validate(rendered)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Rejected(f"{field}: {first['msg']}", code="invalid_param", field=field) from None


def _own_inputs(schema: Mapping[str, Any], given: Mapping[str, Any]) -> Json:
    """A sub-workflow's inputs, checked and completed; what is not known yet is left as it is."""
    unknown = {name: value for name, value in given.items() if contains_unknown(value)}
    known = {name: value for name, value in given.items() if name not in unknown}
    values, problems = check_inputs(schema, known)
    real = [problem for problem in problems if (problem.field or "").removeprefix("inputs.") not in unknown]
    if real:
        raise StepFailure(Failure(real[0].message, code=real[0].code, details={"field": real[0].field}))
    return {**values, **unknown}


def error_json(error: BaseException) -> Json:
    """An error as a run stores it. What is not ours to explain is named by its class only: its text may hold data."""
    if isinstance(error, ConnectorError | ExpressionError):
        found = storable(error.as_json())
        retry_after = getattr(error, "retry_after", None)
        return {**found, "retry_after": retry_after} if retry_after is not None else found
    if isinstance(error, BodyFailure):
        return error.error
    if isinstance(error, StepFailure):
        return error.failure.as_json()
    if isinstance(error, OpsloomError):
        return {"remedy": "Rejected", "code": error.code, "message": error.message, "details": error.params}
    if isinstance(error, TimeoutError):
        return {"remedy": "Retryable", "code": "timeout", "message": "The platform did not answer in time."}
    name = type(error).__name__
    return {"remedy": "ConnectorError", "code": "internal", "message": f"Opsloom failed here ({name}); see the log."}
