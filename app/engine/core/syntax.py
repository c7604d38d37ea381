"""The syntax tree of an expression, as far as we look into it: what it refers to and what it may cost.

The library gives the tree only in its serialized form (cel.expr.ParsedExpr); the few messages that are needed to read
it are described here by their field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped, unused-ignore]
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

from app.engine.core.environment import new_environment

_Field = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "double": _Field.TYPE_DOUBLE,
    "null": _Field.TYPE_INT64,
}
# message: fields as "number name type", "*" for a list; the messages of the CEL project's syntax.proto.
_MESSAGES = {
    "Parsed": "2 expr Expr",
    "Expr": "3 const Const,4 ident Ident,5 select Select,6 call Call,7 list List,8 struct Struct,9 fold Fold",
    "Const": "1 null_value null,2 bool_value bool,3 int_value int64,4 uint_value uint64,5 double_value double,"
    "6 string_value string,7 bytes_value bytes",
    "Ident": "1 name string",
    "Select": "1 operand Expr,2 field string,3 test_only bool",
    "Call": "1 target Expr,2 function string,3 args *Expr",
    "List": "1 elements *Expr",
    "Struct": "1 name string,2 entries *Entry",
    "Entry": "3 key Expr,4 value Expr",
    "Fold": "1 var string,2 range Expr,3 accu string,4 init Expr,5 condition Expr,6 step Expr,7 result Expr,"
    "8 var2 string",
}


@dataclass(frozen=True, slots=True)
class Const:
    """A literal; ``value`` is None for null and for bytes."""

    value: str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class Ident:
    """A name: a root, or a variable of a macro around it."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """``operand.field``; ``test`` where it stands in ``has()``."""

    operand: Tree
    field: str
    test: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator; a method's receiver is the first argument."""

    function: str
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list or map literal with all that stands in it."""

    parts: tuple[Tree, ...]
    is_list: bool


@dataclass(frozen=True, slots=True)
class Fold:
    """A macro (``map``, ``filter``, ``all``, ``exists``, …) as the loop that it stands for."""

    variables: tuple[str, ...]
    range: Tree
    accu: str
    init: Tree
    condition: Tree
    step: Tree
    result: Tree


Tree = Const | Ident | Select | Call | Items | Fold
Reference = tuple[str, tuple[str, ...]]


@lru_cache(maxsize=8192)
def parse(expression: str) -> Tree:
    """The tree of ``expression``. Raises RuntimeError with the library's words where it is not CEL."""
    packed = any_pb2.Any.FromString(_parser().compile(expression, disable_check=True).serialize())
    return _tree(_messages()["Parsed"].FromString(packed.value).expr)


def references(tree: Tree) -> frozenset[Reference]:
    """Every root that the tree refers to, with the fields that follow it as far as they are written out."""
    return frozenset(_references(tree, frozenset()))


def path_of(tree: Tree) -> Reference | None:
    """The root and fields, where the tree is nothing but ``root.field['field']…``."""
    fields: list[str] = []
    while not isinstance(tree, Ident):
        step = _step(tree)
        if step is None:
            return None
        tree, name = step
        fields.append(name)
    return tree.name, tuple(reversed(fields))


def is_plain(tree: Tree) -> bool:
    """Whether the tree is a root and fields, and nothing else."""
    while isinstance(tree, Select) and not tree.test:
        tree = tree.operand
    return isinstance(tree, Ident)


def children(tree: Tree) -> tuple[Tree, ...]:
    """The parts of a tree, in the order written."""
    match tree:
        case Select():
            return (tree.operand,)
        case Call():
            return tree.args
        case Items():
            return tree.parts
        case Fold():
            return tree.range, tree.init, tree.condition, tree.step, tree.result
        case _:
            return ()


def _references(tree: Tree, bound: frozenset[str]) -> Iterator[Reference]:
    path = path_of(tree)
    if path is not None:
        if path[0] not in bound:
            yield path
        return
    if isinstance(tree, Fold):
        yield from _references(tree.range, bound)
        yield from _references(tree.init, bound)
        inner = bound | {*tree.variables, tree.accu}
        for part in (tree.condition, tree.step, tree.result):
            yield from _references(part, inner)
        return
    for child in children(tree):
        yield from _references(child, bound)


def _step(tree: Tree) -> tuple[Tree, str] | None:
    """The operand and field of one ``.field`` or ``['field']``."""
    if isinstance(tree, Select):
        return tree.operand, tree.field
    if isinstance(tree, Call) and tree.function == "_[_]":
        operand, key = tree.args
        if isinstance(key, Const) and isinstance(key.value, str):
            return operand, key.value
    return None


def _tree(expr: Any) -> Tree:
    match expr.WhichOneof("kind"):
        case "ident":
            return Ident(expr.ident.name)
        case "select":
            return Select(_tree(expr.select.operand), expr.select.field, expr.select.test_only)
        case "call":
            receiver = [expr.call.target] if expr.call.HasField("target") else []
            return Call(expr.call.function, tuple(_tree(part) for part in [*receiver, *expr.call.args]))
        case "list":
            return Items(tuple(_tree(part) for part in expr.list.elements), True)
        case "struct":
            entries = expr.struct.entries
            return Items(tuple(_tree(part) for entry in entries for part in (entry.key, entry.value)), False)
        case "fold":
            return _fold(expr.fold)
        case _:
            return _const(expr.const)


def _fold(fold: Any) -> Fold:
    parts = (_tree(part) for part in (fold.range, fold.init, fold.condition, fold.step, fold.result))
    where, init, condition, step, result = parts
    variables = tuple(name for name in (fold.var, fold.var2) if name)
    return Fold(variables, where, fold.accu, init, condition, step, result)


def _const(const: Any) -> Const:
    kind = const.WhichOneof("kind")
    return Const(None if kind in (None, "null_value", "bytes_value") else getattr(const, kind))


@cache
def _parser() -> Any:
    return new_environment({})


@cache
def _messages() -> dict[str, Any]:
    """Classes that read the serialized tree."""
    file = descriptor_pb2.FileDescriptorProto(name="opsloom/syntax.proto", package="opsloom", syntax="proto3")
    for name, described in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name in ("Expr", "Const"):
            message.oneof_decl.add(name="kind")
        for field in described.split(","):
            _add_field(message, *field.split(), one_of=name in ("Expr", "Const"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"opsloom.{name}")) for name in _MESSAGES}


def _add_field(message: Any, number: str, name: str, kind: str, *, one_of: bool) -> None:
    label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=int(number), label=label)
    kind = kind.removeprefix("*")
    field.type = _KINDS.get(kind, _Field.TYPE_MESSAGE)
    if kind not in _KINDS:
        field.type_name = f".opsloom.{kind}"
    if one_of:
        field.oneof_index = 0
