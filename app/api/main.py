"""The gateway as one application: routes, errors, limits, documentation."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from app.api import problems
from app.api.docs import render
from app.api.middleware import PREFIX, Addresses, BodyLimit, Envelope
from app.api.routes import (
    approvals,
    audit,
    clients,
    connections,
    forms,
    health,
    history,
    hooks,
    operations,
    reveal,
    runs,
    sign_in,
    tokens,
    triggers,
    waves,
    workflows,
)

_DESCRIPTION = (
    "Send a bearer token from POST /api/v1/auth/token. {client} is a client's id or short name. Errors are "
    "problem+json: code, title, and in errors each field, node or row at fault with its reason."
)
# The router looks for a route in this order, through each resource anew: what is asked for most comes first.
_RESOURCES = (
    runs,
    sign_in,
    tokens,
    clients,
    workflows,
    connections,
    history,
    approvals,
    forms,
    audit,
    triggers,
    hooks,
    waves,
    health,
)


def create_api() -> FastAPI:
    """The application. It is mounted beside the pages by :mod:`app.api.gateway`."""
    app = FastAPI(
        title="Opsloom API",
        version="1",
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": {"description": "What is wrong, and where.", "content": {problems.MEDIA_TYPE: {}}}},
    )
    problems.install(app)
    app.include_router(operations.router)
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix=PREFIX)
    app.include_router(runs.over_all, prefix=PREFIX)
    app.include_router(reveal.router)

    @app.get(f"{PREFIX}/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return render(app)

    app.add_middleware(BodyLimit)
    app.add_middleware(Addresses)
    app.add_middleware(Envelope)
    return app
