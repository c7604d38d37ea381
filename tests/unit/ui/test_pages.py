"""What every page must be: no words of its own, only guarded handlers, places that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from reflex_base.components.component import BaseComponent
from reflex_base.registry import RegistrationContext
from reflex_components_core.base.bare import Bare

from app.app import PAGES, app
from app.services.permissions import PERMISSIONS
from app.ui.frame import PLACES
from app.ui.guard import GUARD, SIGNED_IN

# Reflex's own handlers. They take no part in what the product does: they send the page's own state to its owner (see
# app.ui.socket), list the page's guarded handlers, or take a report of an error in the browser.
FRAMEWORK = {
    "hydrate": "sends the state of this tab and account",
    "hydrate_and_load": "the same, and queues the page's own guarded handlers",
    "on_load_internal": "queues the page's own guarded handlers",
    "set_is_hydrated": "a flag of the browser's",
    "update_vars_internal": "writes variables that are kept in the browser; no state here has one",
    "handle_frontend_exception": "logs what a browser reports",
    "setvar": "calls a state's own set_… methods; no state here has one",
}


def handlers() -> dict[str, Any]:
    return {name: found.handler for name, found in RegistrationContext.get().event_handlers.items()}


def ours() -> dict[str, Any]:
    return {name: handler for name, handler in handlers().items() if name.rpartition(".")[2] not in FRAMEWORK}


def parts(component: Any) -> Iterator[Any]:
    yield component
    for child in getattr(component, "children", ()):
        yield from parts(child)
    for name in getattr(component, "get_props", lambda: ())():
        value = getattr(component, name, None)
        if isinstance(value, BaseComponent):
            yield from parts(value)


def test_every_registered_handler_is_guarded() -> None:
    assert app is not None
    found = ours()
    assert len(found) > 25
    unguarded = [name for name, handler in found.items() if not hasattr(handler.fn, GUARD)]
    assert not unguarded
    assert {getattr(handler.fn, GUARD) for handler in found.values()} <= {SIGNED_IN, *PERMISSIONS}


def test_handlers_that_look_or_ask_run_in_the_background() -> None:
    """A page's state is locked while an ordinary handler runs, and every guard asks the database."""
    assert all(handler.is_background for handler in ours().values())


def test_no_handler_is_named_so_that_setvar_reaches_it() -> None:
    assert not [
        name for name in handlers() if name.rpartition(".")[2].startswith("set_") and "set_is_hydrated" not in name
    ]


def test_no_state_keeps_a_variable_in_the_browser() -> None:
    for state in RegistrationContext.get().base_states.values():
        for name in state.base_vars:
            assert not state._is_client_storage(state.get_fields()[name]), (state, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.ROUTE)
def test_a_page_has_no_words_of_its_own(page: Any) -> None:
    for part in parts(page.page()):
        if isinstance(part, Bare):
            shown = str(part.contents)
            assert not re.match(r'^"[^"]*[A-Za-zÀ-ÿ]{2,}', shown), shown
        for name in ("placeholder", "title", "aria_label", "alt"):
            value = str(getattr(part, name, None))
            assert not re.match(r'^"[A-Za-z]{2,}', value), (part, name, value)


def test_places_lead_to_pages() -> None:
    routes = {page.ROUTE for page in PAGES}
    assert {place.path.replace("{client}", "[client]") for place in PLACES} <= routes
