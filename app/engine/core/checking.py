"""Expressions checked while drawing: what they refer to is there, is upstream, and has the right type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.core.errors import Problem
from app.engine.core.catalogue import Catalogue, StepInfo
from app.engine.core.cost import Cost, bound, too_much
from app.engine.core.document import Document, Node
from app.engine.core.expressions import (
    IN_LOOPS,
    compile_expression,
    nothing_found,
    only_in_loops,
    refuse_misnamed,
    syntax_of,
)
from app.engine.core.faults import ExpressionError, costly, library_error
from app.engine.core.shapes import Shape, locate, shape, shape_of_value
from app.engine.core.syntax import Reference, Tree, references
from app.engine.core.types import Declarations, accepts, kind_words, type_words

RUN_SHAPE = shape(
    {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("id", "label", "started_by", "created_at")},
        "required": ["id", "created_at"],
        "additionalProperties": False,
    }
)
"""The fields of the root ``run``."""

Upstream = Callable[[str, str], bool | None]


LOOP: frozenset[str] = frozenset({"item", "index"})


@dataclass(frozen=True)
class Surroundings:
    """What a document's expressions may refer to. ``upstream(earlier, later)`` is None where it cannot be told.

    ``loop`` are the roots that a loop around the document brings. ``outer`` is what stands around the document where it
    is the body of the step ``holder``: the steps before that one can be seen from inside.
    """

    document: Document
    catalogue: Catalogue
    upstream: Upstream
    variables: Mapping[str, Any] | None = None
    loop: frozenset[str] = frozenset()
    outer: Surroundings | None = None
    holder: str = ""

    @cached_property
    def nodes(self) -> dict[str, Node]:
        return {node.id: node for node in self.document.nodes}

    @cached_property
    def inputs(self) -> Shape:
        return shape(self.document.inputs) if self.outer is None else self.outer.inputs

    @cached_property
    def client(self) -> Shape:
        return shape({"type": "object"}) if self.variables is None else shape_of_value(self.variables)

    @cached_property
    def outputs(self) -> dict[str, Shape]:
        """The shape of each step's output; "any" where its type is not known. Steps of one type share one."""
        shared: dict[str, Shape] = {}
        found: dict[str, Shape] = {}
        for name, node in self.nodes.items():
            info = self.catalogue.get(node.type)
            if info is not None and (info.open_output or info.output_from):
                found[name] = output_shape(node, info)
            else:
                known = shape({}) if info is None else output_shape(node, info)
                found[name] = shared.setdefault(node.type, known)
        return found

    @cached_property
    def visible(self) -> dict[str, Shape]:
        """The outputs of the document's own steps and of those around it."""
        return self.outputs if self.outer is None else {**self.outer.visible, **self.outputs}

    def objection(self, step: str, node: str) -> str | None:
        """Why ``node`` cannot use the output of ``step``: the code of an error, or None."""
        if step in self.nodes:
            return "not_upstream" if self.upstream(step, node) is False else None
        return self.outer.objection(step, self.holder) if self.outer else "unknown_step"


def output_shape(node: Node, info: StepInfo) -> Shape:
    """The shape of what ``node`` gives to later steps."""
    if info.output_from is not None:
        fields = node.params.get(info.output_from)
        return shape({"additionalProperties": False, **fields, "type": "object"} if isinstance(fields, Mapping) else {})
    if info.open_output is None:
        return shape(info.output_schema or {"type": "object", "properties": {}})
    values = node.params.get(info.open_output)
    names = [str(name) for name in values] if isinstance(values, Mapping) else []
    return shape({"type": "object", "properties": {name: {} for name in names}, "required": names})


class ExpressionChecker:
    """Checks the expressions of one document. Equal expressions are compiled once."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._types: dict[str, str | ExpressionError] = {}

    @property
    def catalogue(self) -> Catalogue:
        return self._around.catalogue

    def check(
        self, expression: str, node: str, field: str, expected: Shape | None, found: Shape | None = None
    ) -> Iterator[Problem]:
        """What is wrong with a bare expression of ``node``'s ``field`` whose value should be of shape ``expected``.

        ``found`` is the shape of the root of that name, where the expression has one.
        """
        try:
            tree = syntax_of(expression)
            problems = list(self._reference_problems(tree, expression, node, field, found))
            yield from problems
            if problems:
                return
            given = self._type_of(expression, tree)
        except ExpressionError as error:
            yield error.as_problem(node, field)
            return
        if expected is not None and not accepts(expected, given):
            wanted, got = kind_words(expected), type_words(given)
            message = f"This takes {wanted}, but the expression gives {got}."
            params = {"expression": expression, "expected": wanted, "given": got}
            yield Problem("wrong_expression_type", message, field=field, node=node, params=params)

    def _reference_problems(
        self, tree: Tree, expression: str, node: str, field: str, read: Shape | None
    ) -> Iterator[Problem]:
        for root, path in sorted(references(tree)):
            try:
                refuse_misnamed(expression, root, path)
                if root == "found":
                    _refuse_not_found(expression, path, read)
                else:
                    self._refuse_wrong(expression, root, path, node)
            except ExpressionError as error:
                yield error.as_problem(node, field)

    def _refuse_wrong(self, expression: str, root: str, path: tuple[str, ...], node: str) -> None:
        if root in IN_LOOPS:
            if root not in self._around.loop:
                raise only_in_loops(root, expression)
            return
        if root == "steps":
            self._refuse_step(expression, path[0], node)
            where, found, path = f"steps.{path[0]}.output", self._around.visible[path[0]], path[2:]
        else:
            where, found = root, {"inputs": self._around.inputs, "client": self._around.client, "run": RUN_SHAPE}[root]
        at, known = locate(found, path)
        if known < len(path):
            raise _no_field(expression, ".".join([where, *path[:known]]), path[known], at)

    def _refuse_step(self, expression: str, step: str, node: str) -> None:
        objection = self._around.objection(step, node)
        if objection == "unknown_step":
            message = f"There is no step {step}."
            raise ExpressionError(message, code="unknown_step", expression=expression, step=step)
        if objection == "not_upstream":
            reason = "a step cannot use its own output" if step == node else f"{step} is not before this step"
            message = f"{step} cannot be used here: {reason}."
            raise ExpressionError(message, code="not_upstream", expression=expression, step=step)

    def _type_of(self, expression: str, tree: Tree) -> str:
        found = self._types.get(expression)
        if found is None:
            found = self._types[expression] = self._compiled(expression, tree)
        if isinstance(found, ExpressionError):
            raise found
        return found

    def _compiled(self, expression: str, tree: Tree) -> str | ExpressionError:
        if too_much(bound(tree, _small)):
            return costly(expression)
        try:
            return str(self._environment.compile(expression).return_type().name())
        except RuntimeError as error:
            if _INDEXED_BY_NAME not in str(error):
                return library_error(expression, str(error))
        # CEL has no message['field'], yet it is the only way to a field with an odd name. That the field is there has
        # been checked by now; its type is left to the run.
        try:
            compile_expression(expression)
        except ExpressionError as error:
            return error
        return "DYN"

    @cached_property
    def _environment(self) -> Any:
        around = self._around
        declared = Declarations()
        declared.root("inputs", around.inputs)
        declared.root("client", around.client)
        declared.root("run", RUN_SHAPE)
        declared.steps(around.visible)
        for name in (*around.loop, "found"):
            declared.anything(name)
        return declared.environment()


_INDEXED_BY_NAME = "'_[_]' applied to '(opsloom."


def _refuse_not_found(expression: str, path: tuple[str, ...], read: Shape | None) -> None:
    if read is None:
        raise nothing_found(expression)
    at, known = locate(read, path)
    if known < len(path):
        raise _no_field(expression, ".".join(["found", *path[:known]]), path[known], at)


def _small(_reference: Reference) -> Cost:
    """The size that data is taken to have while drawing: what is too costly even so is refused at once."""
    return Cost(1, 1, 1)


def _no_field(expression: str, where: str, name: str, at: Shape) -> ExpressionError:
    known = sorted(at.fields) if at.kind == "object" else []
    hint = f" It has {', '.join(known[:20])}." if known else ""
    message = f"{where} has no field {name}.{hint}"
    return ExpressionError(message, code="unknown_field", expression=expression, name=name, where=where, known=known)
