"""Where webhooks are sent. Nobody is signed in: the sender proves itself by a signature or a secret."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.problems import TooLarge
from app.api.who import address_of
from app.services import triggers
from app.services.triggers import LARGEST_PAYLOAD, Delivery, Received

router = APIRouter(prefix="/hooks", tags=["hooks"])


@router.post("/{token}", status_code=202)
async def receive(request: Request, token: str) -> Received:
    """Start the trigger's workflow with what was sent. The same ``webhook-id`` starts once and is answered alike."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return await triggers.receive(Delivery(token, headers, await _body(request), address_of(request)))


async def _body(request: Request) -> bytes:
    """The body as it was sent, which is what was signed. Raises TooLarge as soon as there is too much of it."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > LARGEST_PAYLOAD:
            raise TooLarge(LARGEST_PAYLOAD)
    return bytes(found)
