"""A JSON schema as a form: app/ui/js/schema_form.jsx, with what it may be told."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.ui.js import module


class SchemaForm(rx.Component):
    """``schema`` is a JSON schema with the hints of :func:`connectors.base.param`; ``value`` what is stored now.

    ``errors`` are problems by field; ``choices`` by field are ``{"state", "rows", "problem"}`` of a live choice, asked
    for by ``on_choices(field)``. ``on_change(field, value)`` tells of each committed field. With ``on_submit(values)``
    it is a form of its own, its button labelled ``submit``; while ``busy`` it cannot be sent again.
    """

    library = module("schema_form.jsx")
    tag = "SchemaForm"

    schema: rx.Var[dict[str, Any]]
    value: rx.Var[dict[str, Any]]
    errors: rx.Var[dict[str, list[dict[str, Any]]]]
    choices: rx.Var[dict[str, dict[str, Any]]]
    read_only: rx.Var[bool]
    submit: rx.Var[str]
    busy: rx.Var[bool]

    on_change: rx.EventHandler[lambda field, value: [field, value]]
    on_choices: rx.EventHandler[lambda field: [field]]
    on_submit: rx.EventHandler[lambda values: [values]]
    on_cancel: rx.EventHandler[rx.event.no_args_event_spec]


schema_form = SchemaForm.create


def by_field(problem: dict[str, Any], prefix: str = "") -> dict[str, list[dict[str, Any]]]:
    """The problems of an error (problem+json) by field, ``prefix`` taken off; those without a field under ``""``."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in problem.get("errors", []):
        name = str(one.get("field") or "").removeprefix(prefix).partition(".")[0]
        found.setdefault(name, []).append(one)
    return found
