"""Send something to a web API."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import httpx
from pydantic import model_validator

from connectors.base import Applied, Attempt, Change, Json, Planned, Risk, Text, World, WriteAction, param
from connectors.errors import AuthFailed, ConnectorError, OutcomeUnknown, Rejected
from connectors.http.actions.common import CATEGORY, KB, AnswerParams, RequestOutput, TargetParams, output_of, require
from connectors.http.client import HttpClient

MOST_BODY = 1024 * KB
# A longer body is shown by its size and its digest.
SHOWN_BODY = 16 * KB
CANNOT = Text(
    "What a web API did with a request is its own: Opsloom cannot take it back.",
    "Ce qu’une API web a fait d’une requête lui appartient : Opsloom ne peut pas l’annuler.",
)


class BodyParams(TargetParams):
    """What is sent."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = param("Method", "Méthode", default="POST")
    data: Any = param(
        "Body (JSON)",
        "Corps (JSON)",
        default=None,
        widget="json",
        help_en="Its texts may hold expressions.",
        help_fr="Ses textes peuvent contenir des expressions.",
    )
    text: str = param(
        "Body (text)",
        "Corps (texte)",
        default="",
        widget="textarea",
        help_en="Instead of JSON.",
        help_fr="À la place du JSON.",
        max_length=MOST_BODY,
    )
    content_type: str = param(
        "Type of the text",
        "Type du texte",
        default="text/plain; charset=utf-8",
        pattern=r"^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+( *; *[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*$",
        max_length=200,
    )
    repeatable: bool = param(
        "May be repeated",
        "Peut être répétée",
        default=False,
        help_en="The API does the same request once, by its Idempotency-Key or by its nature. If an answer is lost, the"
        " step then sends again by itself; otherwise it asks a person.",
        help_fr="L’API ne traite qu’une fois la même requête, grâce à son Idempotency-Key ou par nature. Si une réponse"
        " se perd, l’étape la renvoie d’elle-même ; sinon, elle demande à quelqu’un.",
    )

    @model_validator(mode="after")
    def _one_body(self) -> BodyParams:
        if self.data is not None and self.text:
            raise ValueError("text: a request has one body, JSON or text")
        return self

    def body(self) -> tuple[bytes, dict[str, str]]:
        """The body with the header that names its type. Raises Rejected where it is too large."""
        try:
            raw, kind = self._encoded()
        except ValueError:
            field = "text" if self.text else "data"
            raise Rejected("It has values that cannot be sent.", code="value_unsendable", field=field) from None
        if len(raw) > MOST_BODY:
            field = "text" if self.text else "data"
            raise Rejected(f"The body is larger than {MOST_BODY // KB} KB.", code="body_too_large", field=field)
        return raw, {"Content-Type": kind} if raw else {}

    def _encoded(self) -> tuple[bytes, str]:
        """The body and its type. Raises ValueError for what JSON or UTF-8 cannot hold (NaN, half a sign)."""
        if self.data is None:
            return self.text.encode(), self.content_type
        text = json.dumps(self.data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(), "application/json"


class SendParams(AnswerParams, BodyParams):
    """In the order of a form: where, what, and what is made of the answer."""

    # What was sent cannot be asked for again: unless the author says otherwise it is awaited as long as the step may
    # take, so that a slow answer is no lost one.
    timeout_s: float | None = param(  # type: ignore[assignment]
        "Seconds to wait",
        "Secondes d’attente",
        default=None,
        ge=1,
        le=3600,
        help_en="Left empty: as long as the step's time limit, 300 s unless it says otherwise.",
        help_fr="Si c’est vide : aussi longtemps que le délai de l’étape, 300 s sauf indication contraire.",
    )


class SendRequest(WriteAction[HttpClient, SendParams]):
    """Acts every time. While planning nothing is asked: what a request would do is known to the API alone."""

    id = "http.request.send"
    title = Text("Send to a web address", "Envoyer à une adresse web")
    summary = Text(
        "Sends a request that changes something in a web API.",
        "Envoie une requête qui modifie quelque chose dans une API web.",
    )
    category = CATEGORY
    icon = "send"
    risk = Risk.MEDIUM
    reversible = False
    irreversible_reason = CANNOT
    permissions = ("http.write",)
    Params = SendParams
    Output = RequestOutput

    async def plan(self, client: HttpClient, params: SendParams, world: World) -> Planned:
        url = self._checked(client, params)
        label = f"{params.method} {str(url).partition('?')[0]}"
        change = Change(
            kind="create",
            target=f"http.request:{label}".lower(),
            label=label,
            after=_shown(params, url),
            reversible=False,
            irreversible_reason=CANNOT,
        )
        return Planned(change, {"url": str(url)})

    async def apply(self, client: HttpClient, params: SendParams, change: Change, attempt: Attempt) -> Applied:
        url = self._checked(client, params)
        body, kind = params.body()
        answer = await client.write(
            params.method,
            url,
            {**kind, **params.headers},
            body,
            attempt,
            timeout_s=params.timeout_s,
            max_bytes=params.max_kb * KB,
        )
        require(client, params, answer, change.label, write=True)
        return Applied(change, self._output(client, params, answer, str(url)))

    async def recover(self, client: HttpClient, params: SendParams, change: Change, attempt: Attempt) -> Applied | None:
        """There is nothing to look at. A request that may be repeated is sent again with the same key."""
        if params.repeatable:
            return None
        raise OutcomeUnknown(
            f"The answer to {change.label} was lost. Whether it was done can only be seen at the API; the request"
            f" carried the Idempotency-Key {attempt.key}.",
            details={"idempotency_key": attempt.key},
        )

    @staticmethod
    def _checked(client: HttpClient, params: SendParams) -> httpx.URL:
        if client.read_only:
            raise AuthFailed("This connection is for reading only.", code="missing_permission")
        params.body()
        return client.url(params.url, params.query)

    @staticmethod
    def _output(client: HttpClient, params: SendParams, answer: Any, url: str) -> Json:
        """The work is done: an answer that cannot be read as was wanted is given as text."""
        try:
            found = output_of(client, params, answer, url)
        except ConnectorError:
            found = output_of(client, params.model_copy(update={"read_as": "text"}), answer, url)
        return found.model_dump(mode="json")


def _shown(params: SendParams, url: httpx.URL) -> Json:
    """What is sent, as people approve it and as the seal holds it."""
    after: Json = {"method": params.method, "url": str(url)}
    if params.headers:
        after["headers"] = dict(params.headers)
    raw, kind = params.body()
    if raw and len(raw) <= SHOWN_BODY:
        after["body"] = params.data if params.data is not None else params.text
    elif raw:
        after["body"] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    return {**after, "content_type": kind["Content-Type"]} if kind else after
