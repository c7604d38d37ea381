"""What requests of both kinds share: parameters, what becomes of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import field_validator

from connectors.base import Output, Params, Text, param
from connectors.errors import Rejected
from connectors.http import headers as header_rules
from connectors.http.client import HttpClient
from connectors.web import Answer, refusal, sound

CATEGORY = "web"
KB = 1024
MOST_LEVELS = 64
READ_AS = {
    "auto": Text("As its type says", "Selon son type"),
    "json": Text("JSON", "JSON"),
    "text": Text("Text", "Texte"),
}


class TargetParams(Params):
    """Where a request goes."""

    method: str = param("Method", "Méthode", default="GET")
    url: str = param(
        "Address",
        "Adresse",
        help_en="With https:// and one of the connection's hosts. Values from elsewhere are safest in the query.",
        help_fr="Avec https:// et l’un des hôtes de la connexion. Les valeurs venues d’ailleurs vont plutôt dans la"
        " requête ci-dessous.",
        widget="text",
        placeholder="https://api.example.com/v1/tickets",
        min_length=1,
        max_length=4000,
    )
    query: dict[str, str] = param(
        "Query",
        "Paramètres de requête",
        default_factory=dict,
        widget="key_values",
        help_en="Added to the address, encoded as needed.",
        help_fr="Ajoutés à l’adresse, encodés comme il faut.",
    )
    headers: dict[str, str] = param(
        "Headers",
        "En-têtes",
        default_factory=dict,
        widget="key_values",
        help_en="Beside the connection's own. Nothing secret.",
        help_fr="En plus de ceux de la connexion. Rien de secret.",
    )

    @field_validator("headers")
    @classmethod
    def _headers_may_be_set(cls, headers: dict[str, str]) -> dict[str, str]:
        return header_rules.checked(headers)


class AnswerParams(Params):
    """What is made of the answer."""

    expect: list[str] = param(
        "Statuses that are right",
        "Statuts attendus",
        default_factory=lambda: ["2xx"],
        help_en="Such as 2xx or 404. Any other is an error. Left empty: 2xx.",
        help_fr="Par exemple 2xx ou 404. Tout autre est une erreur. Si c’est vide : 2xx.",
        max_length=20,
    )
    read_as: Literal["auto", "json", "text"] = param(
        "Read the answer as", "Lire la réponse", default="auto", options=READ_AS
    )
    timeout_s: float = param("Seconds to wait", "Secondes d’attente", default=30, ge=1, le=240)
    max_kb: int = param(
        "Largest answer (KB)",
        "Réponse la plus grande (Ko)",
        default=512,
        ge=1,
        le=4096,
    )

    @field_validator("expect")
    @classmethod
    def _statuses_are_statuses(cls, expect: list[str]) -> list[str]:
        expect = expect or ["2xx"]
        for text in expect:
            if len(text) != 3 or text[0] not in "12345" or not (text[1:].lower() == "xx" or text[1:].isdigit()):
                raise ValueError(f"{text}: a status is three digits, or 2xx for a hundred of them")
        return expect

    def expects(self, status: int) -> bool:
        """Whether ``status`` is one of those that are right."""
        return any(text.lower() in (str(status), f"{status // 100}xx") for text in self.expect)


class RequestOutput(Output):
    """What later steps may use. ``data`` is the answer read as JSON, ``text`` the answer where it is not."""

    status: int
    url: str
    headers: dict[str, str]
    data: Any = None
    text: str = ""
    complete: bool = True


def output_of(client: HttpClient, params: AnswerParams, answer: Answer, url: str) -> RequestOutput:
    """The answer as output. Raises Rejected where JSON was wanted and is not there."""
    text = client.hidden(answer.text)
    shown = {name: client.hidden(value) for name, value in header_rules.shown(answer.headers).items()}
    found = {"status": answer.status, "url": client.hidden(url), "headers": shown, "complete": answer.complete}
    if not text or not answer.complete:
        return RequestOutput(**found)
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    if params.read_as == "json" or (params.read_as == "auto" and kind.endswith(("/json", "+json"))):
        try:
            data = json.loads(text, parse_constant=_refuse_constant)
            _refuse_depth(data)
            return RequestOutput(**found, data=_sound(client.hidden_json(data)))
        except (ValueError, RecursionError):
            if params.read_as == "json":
                raise Rejected("The answer is not JSON.", code="not_json", field="read_as") from None
    return RequestOutput(**found, text=text.replace("\x00", ""))


def _sound(value: Any) -> Any:
    """What JSON's escapes may say and no text can hold, taken out."""
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, dict):
        return {sound(name): _sound(item) for name, item in value.items()}
    return [_sound(item) for item in value] if isinstance(value, list) else value


def _refuse_depth(data: Any) -> None:
    """What nests deeper than any API does can be read by nobody later on."""
    layer = [data]
    for _ in range(MOST_LEVELS):
        layer = [item for value in layer if isinstance(value, dict | list) for item in _inside(value)]
        if not layer:
            return
    raise ValueError("nested too deeply")


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are no JSON, and the database takes none."""
    raise ValueError(name)


def require(client: HttpClient, params: AnswerParams, answer: Answer, what: str, *, write: bool) -> None:
    """Raise what the answer means, unless its status is one of those that are right."""
    if not params.expects(answer.status):
        raise refusal(answer, what, client.hidden(answer.text), write=write)
