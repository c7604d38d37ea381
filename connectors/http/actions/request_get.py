"""Ask a web API for something."""

from __future__ import annotations

from typing import Literal

from connectors.base import ReadAction, Text, param
from connectors.errors import Rejected
from connectors.http.actions.common import CATEGORY, KB, AnswerParams, RequestOutput, TargetParams, output_of, require
from connectors.http.client import HttpClient


class GetParams(AnswerParams, TargetParams):
    method: Literal["GET", "HEAD"] = param("Method", "Méthode", default="GET")


class GetRequest(ReadAction[HttpClient, GetParams]):
    """Changes nothing: it is also asked while planning. Redirects are followed inside the connection's hosts."""

    id = "http.request.get"
    volatile = frozenset({"headers"})
    title = Text("Ask a web address", "Interroger une adresse web")
    summary = Text(
        "Reads from a web API: JSON or text, its status and its headers.",
        "Lit depuis une API web : JSON ou texte, le statut et les en-têtes.",
    )
    category = CATEGORY
    icon = "globe"
    permissions = ("http.read",)
    Params = GetParams
    Output = RequestOutput

    async def read(self, client: HttpClient, params: GetParams) -> RequestOutput:
        url = client.url(params.url, params.query)
        answer, url = await client.read(
            params.method, url, params.headers, timeout_s=params.timeout_s, max_bytes=params.max_kb * KB
        )
        require(client, params, answer, f"{params.method} {_plain(str(url))}", write=False)
        if not answer.complete:
            message = f"The answer is larger than {params.max_kb} KB, or was cut off."
            raise Rejected(message, code="answer_too_large", field="max_kb")
        return output_of(client, params, answer, str(url))


def _plain(url: str) -> str:
    return url.partition("?")[0]
