"""What an account chose for itself: language and theme."""

from __future__ import annotations

from app.core.context import Actor
from app.core.errors import Invalid, NotSignedIn, Problem
from app.data.session import tenant_session
from app.services.auth.home import home_of, load_account

CHOICES = {"locale": ("en", "fr"), "theme": ("system", "light", "dark")}


async def set_preferences(actor: Actor, *, locale: str | None = None, theme: str | None = None) -> None:
    """Keep the language or theme that the actor chose; None leaves it as it is. Raises Invalid."""
    chosen = {name: value for name, value in {"locale": locale, "theme": theme}.items() if value is not None}
    for name, value in chosen.items():
        if value not in CHOICES[name]:
            message = f"{name} is one of {', '.join(CHOICES[name])}."
            raise Invalid(message, problems=[Problem("not_a_choice", message, field=name)])
    if not chosen:
        return
    if actor.account_id is None:
        raise NotSignedIn()
    home = await home_of(actor)
    account = await load_account(home.client_id, actor.account_id)
    async with tenant_session(home) as session:
        for name, value in chosen.items():
            setattr(account, name, value)
        session.add(account)
