"""The page behind a one-time link. Opening it reveals nothing: mail scanners do that too. Its button does, once."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from app.api.html import locale_of, page
from app.api.who import address_of, unsigned_limit
from app.core.errors import Missing, Unavailable
from app.services import reveals

router = APIRouter(prefix="/reveal", include_in_schema=False, dependencies=[Depends(unsigned_limit)])

TEXTS = {
    "en": {
        "title": "One-time secret",
        "from": "Prepared for you by {client}.",
        "once": "It can be shown once. Open it when you can write it down or store it safely.",
        "show": "Show it now",
        "shown": "It was destroyed here and cannot be shown again. Store it safely, then close this page.",
        "gone": "This link does not work any more",
        "gone_help": "It was used, has expired, or was replaced by a newer one. Ask whoever sent it for a new one.",
        "away": "Not possible right now",
        "away_help": "The secret was not touched. Try again in a moment.",
    },
    "fr": {
        "title": "Secret à usage unique",
        "from": "Préparé pour vous par {client}.",
        "once": "Il ne s’affiche qu’une fois. Ouvrez-le quand vous pouvez le noter ou le ranger en lieu sûr.",
        "show": "Afficher maintenant",
        "shown": "Il a été détruit ici et ne pourra plus être affiché. Rangez-le en lieu sûr, puis fermez cette page.",
        "gone": "Ce lien ne fonctionne plus",
        "gone_help": "Il a servi, expiré ou été remplacé par un plus récent. Demandez-en un autre à son expéditeur.",
        "away": "Impossible pour le moment",
        "away_help": "Le secret n’a pas été touché. Réessayez dans un instant.",
    },
}


@router.get("/{token}")
async def look(request: Request, token: str) -> HTMLResponse:
    """What the link leads to, and a button."""
    locale = locale_of(request.headers.get("accept-language"))
    text = TEXTS[locale]
    try:
        found = await reveals.look(token)
    except Missing:
        return _message(locale, "gone", 404)
    body = (
        f"{_heading(found.title, found.client_name, locale)}<p>{text['once']}</p>"
        f'<form method="post"><button type="submit">{text["show"]}</button></form>'
    )
    return _card(locale, text["title"], body)


@router.post("/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """The secret, this once."""
    locale = locale_of(request.headers.get("accept-language"))
    try:
        found = await reveals.open_link(token, ip=address_of(request))
    except Missing:
        return _message(locale, "gone", 404)
    except Unavailable:
        return _message(locale, "away", 503)
    text = TEXTS[locale]
    body = (
        f"{_heading(found.title, found.client_name, locale)}"
        f'<output class="secret" aria-label="{escape(found.title.get(locale, ""))}">{escape(found.value)}</output>'
        f"<p>{text['shown']}</p>"
    )
    return _card(locale, text["title"], body)


def _heading(title: dict[str, str], client: str, locale: str) -> str:
    known_as = title.get(locale) or TEXTS[locale]["title"]
    return f'<h1>{escape(known_as)}</h1><p class="muted">{escape(TEXTS[locale]["from"].format(client=client))}</p>'


def _message(locale: str, name: str, status: int) -> HTMLResponse:
    text = TEXTS[locale]
    return _card(locale, text[name], f"<h1>{text[name]}</h1><p>{text[f'{name}_help']}</p>", status)


def _card(locale: str, title: str, body: str, status: int = 200) -> HTMLResponse:
    return page(title, f'<main class="card">{body}</main>', locale=locale, status=status)
