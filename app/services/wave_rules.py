"""What a wave is to run over and by which rules: refused before anything is stored, with each client or share named."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.context import Context
from app.core.errors import Invalid, Problem, Stale
from app.data.session import tenant_session
from app.services import clients
from app.services.clients import ClientView
from app.services.wave_loading import targets_of

MOST_CLIENTS = 2_000


async def chosen_clients(ctx: Context, to: Sequence[str], tags: Sequence[str]) -> list[ClientView]:
    """The clients named in ``to`` or tagged with one of ``tags``, by slug.

    Raises Invalid where there is none, where there are too many, and naming each that is not there for whoever asks.
    """
    if ctx.actor.account_id is None:
        message = "A wave is started by a person, who may enter the clients. Say who: --as EMAIL."
        raise Invalid(message, code="wave_needs_person", problems=[Problem("wave_needs_person", message, field="as")])
    mine = {client.slug: client for client in await clients.clients_of(ctx.actor)}
    unknown = [slug for slug in to if slug not in mine]
    problems = [_problem("unknown_client", f"There is no client {slug}.", "to", slug) for slug in unknown]
    if problems:
        raise Invalid("Not every client is there.", problems=problems)
    wanted = {slug for slug, client in mine.items() if slug in to or (not client.is_msp and set(tags) & {*client.tags})}
    if not wanted:
        problem = _problem("no_clients", "Name clients, or tags that clients have.", "to", "")
        raise Invalid(problem.message, code="no_clients", problems=[problem])
    if len(wanted) > MOST_CLIENTS:
        problem = _problem("too_many_clients", f"A wave runs over at most {MOST_CLIENTS} clients.", "to", "")
        raise Invalid(problem.message, code="too_many_clients", problems=[problem])
    return [mine[slug] for slug in sorted(wanted)]


async def planned_clients(ctx: Context, plan: UUID, chosen: Sequence[ClientView], canary: Sequence[str]) -> list[str]:
    """The slugs of those among ``chosen`` that have a usable plan in the wave ``plan``.

    Raises Stale where nobody has, and Invalid where the wave would have lost its whole canary: nobody would go first.
    """
    async with tenant_session(ctx) as session:
        found = {row.target for row in await targets_of(session, ctx, plan) if row.state == "succeeded"}
    planned = [client.slug for client in chosen if client.id in found]
    if not planned:
        raise Stale("None of these clients has a usable plan in that wave.", code="plan_unusable")
    if canary and not set(canary) & set(planned):
        named = ", ".join(canary)
        message = f"No client of the first stage could be planned: {named}. Plan anew with another first stage."
        raise Invalid(message, code="canary_lost", problems=[_problem("canary_lost", message, "canary", list(canary))])
    return planned


def _problem(code: str, message: str, field: str, value: object) -> Problem:
    return Problem(code, message, field=field, params={"value": value})


def check_rules(
    chosen: Sequence[ClientView],
    canary: Sequence[str],
    percents: Sequence[float],
    pause_s: float | str,
    stop_at_percent: float,
) -> None:
    """Raises Invalid naming each client, share or time that is wrong."""
    slugs = {client.slug for client in chosen}
    found = [
        _problem("not_in_wave", f"{slug} is not among the clients of the wave.", "canary", slug)
        for slug in canary
        if slug not in slugs
    ]
    found += [
        _problem("bad_percent", "A share is more than 0 and at most 100.", "percents", percent)
        for percent in percents
        if not 0 < percent <= 100
    ]
    if list(percents) != sorted(percents):
        found.append(_problem("bad_percent", "The shares must grow.", "percents", list(percents)))
    if pause_s != "manual" and not 0 <= float(pause_s) <= 604_800:
        found.append(_problem("bad_pause", "A pause is at most a week.", "pause_s", pause_s))
    if not 0 <= stop_at_percent <= 100:
        found.append(_problem("bad_percent", "A share is at most 100.", "stop_at_percent", stop_at_percent))
    if found:
        raise Invalid("The wave cannot be run like this.", problems=found)
