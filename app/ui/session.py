"""The state that every page shares: who is signed in, the client one is in, notices, and why a page cannot be shown."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Actor, Context
from app.core.errors import Invalid
from app.services import accounts, approvals, auth, clients, forms, runs, workflows
from app.ui.guard import current_actor, guarded, opens, route_param, signed_in
from app.ui.notices import close_page, tell, tell_problem
from app.ui.watch import while_open

Json = dict[str, Any]
MOST_FOUND = 6
COUNT_AGAIN_AFTER_S = 15.0

__all__ = [
    "PageState",
    "SessionState",
    "as_json",
    "close_page",
    "guarded",
    "opens",
    "route_param",
    "signed_in",
    "tell",
    "tell_problem",
]


def as_json(view: Any) -> Json:
    """A service's view as the browser gets it."""
    return view.model_dump(mode="json")


class SessionState(rx.State):
    """Base of every page's state. ``gate`` is empty, or why the page cannot be shown; ``shown_for`` has the address
    that each page's state was filled for.

    Reflex makes every public function of a state callable from the browser, so states hold guarded handlers only, and
    none whose name starts with ``set_``; what they share stands in functions outside.
    """

    me: Json = {}
    here: Json = {}
    my_clients: list[Json] = []
    counts: dict[str, int] = {}
    notices: list[Json] = []
    found: Json = {}
    gate: str = ""
    shown_for: dict[str, str] = {}

    @signed_in(supersedes=True)
    async def load_frame(self, actor: Actor) -> None:
        """What the frame shows: the person, their clients, the client of the address, and what waits there."""
        me = as_json(await accounts.me(actor))
        mine = [as_json(view) for view in await clients.clients_of(actor)]
        slug = route_param(self, "client")
        here = next((view for view in mine if view["slug"] == slug), {})
        async with self:
            self.me = me
            self.my_clients = mine
            if here.get("slug") != self.here.get("slug"):
                self.counts, self.found = {}, {}
            self.here = here
        if here:
            async for person in while_open(self, current_actor, COUNT_AGAIN_AFTER_S):
                counts = await _counts(await clients.enter(person, slug))
                if counts != self.counts:
                    async with self:
                        self.counts = counts

    @signed_in()
    async def prefer(self, actor: Actor, name: str, value: str) -> None:
        """Keep a choice of language or theme with the account."""
        await auth.set_preferences(actor, **{name: value} if name in {"locale", "theme"} else {})

    @guarded("workflow.read", supersedes=True)
    async def find(self, context: Context, words: str) -> None:
        """Workflows and runs for the command palette."""
        found = await _find(context, words)
        async with self:
            self.found = {"client": context.client_slug, "words": words, "rows": found}


async def _counts(context: Context) -> dict[str, int]:
    """What waits for the reader, by the sidebar's entries: the inbox has questions and forms."""
    asked = await approvals.list_approvals(context) if "approval.read" in context.permissions else []
    to_fill = await forms.list_forms(context) if "form.read" in context.permissions else []
    return {"approvals": sum(one.may_decide for one in asked) + sum(one.may_answer for one in to_fill)}


async def _find(context: Context, words: str) -> list[Json]:
    """Workflows and runs that fit ``words``, with where each leads."""
    home = f"/c/{context.client_slug}"
    wanted = words.casefold()
    flows = [flow for flow in await workflows.list_workflows(context) if wanted in flow.name.casefold()]
    found = [
        {"icon": "workflow", "title": flow.name, "href": f"{home}/workflows/{flow.id}"} for flow in flows[:MOST_FOUND]
    ]
    if "run.read" not in context.permissions:
        return found
    try:
        matching = await runs.list_runs(context, search=words, limit=MOST_FOUND)
    except Invalid:
        matching = []  # Too many have these words. Who looks for runs is told so by their page.
    return found + [
        {
            "icon": "play",
            "title": run.label or run.workflow_name,
            "state": run.state,
            "at": run.created_at.isoformat(),
            "href": f"{home}/{'batches' if run.kind == 'batch' else 'runs'}/{run.id}",
        }
        for run in matching
    ]


class PageState(rx.State, mixin=True):
    """Mixed into the state of each page: ``class RunsState(PageState, SessionState)``.

    ``loaded`` turns true when the page has what it shows; until then lists show skeletons.
    """

    loaded: bool = False
