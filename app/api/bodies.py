"""What routes take. Unknown names are refused, so that a misspelt one is found."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from app.core.errors import Invalid, Problem
from app.core.storable import REFUSED, unstorable


def storable_body(given: Any) -> Any:
    """``given`` where all its texts can be kept as they are. Raises Invalid naming the place of one that cannot."""
    if (place := unstorable(given)) is not None:
        raise Invalid("What was sent is wrong.", problems=[Problem("not_storable", REFUSED, field=place or "body")])
    return given


Json = Annotated[dict[str, Any], BeforeValidator(storable_body)]


class Body(BaseModel):
    """Base of every body. A text in it that cannot be kept is refused and named, wherever it stands."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, given: Any) -> Any:
        return storable_body(given)


class WithDocument(Body):
    """Base of bodies that hold a workflow document: the document itself, as a file has it, is taken too."""

    @model_validator(mode="before")
    @classmethod
    def _bare_document(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "nodes" not in given or "document" in given:
            return given
        named = {"name": given.get("name", "")} if "name" in cls.model_fields else {}
        return {**named, "document": given}


class FormAnswer(Body):
    """What somebody has filled in: names of the form's fields with their values."""

    answer: Json


class Credentials(Body):
    """Proof of who someone is."""

    email: str = Field(max_length=254)
    password: SecretStr = Field(max_length=1024)
    otp: str = Field(default="", max_length=64, description="Code of the authenticator, or a recovery code.")
    name: str = Field(default="API", max_length=100, description="What the token is called in lists.")


class Token(BaseModel):
    """A bearer token. ``expires_in`` is in seconds."""

    id: UUID
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the standard's name of its kind
    expires_in: int


class NewToken(Body):
    """A further token of one's own."""

    name: str = Field(min_length=1, max_length=100)
    clients: list[UUID] | None = Field(default=None, description="Limit it to these clients.")
    lifetime_s: int = Field(default=43_200, ge=60, le=366 * 86_400)


class NewPassword(Body):
    """A change of one's own password; every session and token ends."""

    current: SecretStr = Field(max_length=1024)
    new: SecretStr = Field(max_length=1024)


class NewClient(Body):
    """A client of the MSP."""

    slug: str
    name: str
    colour: str = "slate"
    tags: list[str] = Field(default_factory=list, max_length=50)
    variables: Json = Field(default_factory=dict)


class ClientChange(Body):
    """What is given is changed."""

    name: str | None = None
    colour: str | None = None
    tags: list[str] | None = Field(default=None, max_length=50)
    variables: Json | None = None


class Limits(Body):
    """What a client may take. None: no limit of its own."""

    max_running: int | None = Field(default=None, description="Runs walked at once, over all workers.")
    starts_per_minute: int | None = Field(default=None, description="Runs begun in a minute, evenly spaced.")
    history_days: int | None = Field(default=None, description="Days until the steps of a finished run are archived.")


class NewMember(Body):
    """A new account that lives in this client."""

    email: str
    name: str
    role: str
    locale: Literal["en", "fr"] = "en"


class Grant(Body):
    """A role for an account that is there."""

    email: str
    role: str


class NewConnection(Body):
    """A link to a platform. ``config`` is as the platform's schema says."""

    alias: str
    platform: str
    name: str
    config: Json
    keep_failed: bool = Field(default=False, description="Keep it although the platform refused it.")


class ConnectionChange(Body):
    """What is given is changed; secrets that are left out stay, unless the settings lead to a new address."""

    name: str | None = None
    config: Json | None = None


class Lookup(Body):
    """A look into the client's tenant through a read action."""

    action: str
    params: Json = Field(default_factory=dict)


class NewWorkflow(WithDocument):
    """A workflow. Without ``document`` it is empty."""

    name: str
    document: Json | None = None


class Draft(Body):
    """A draft that was made from ``revision``."""

    document: Json
    revision: int


class Documented(WithDocument):
    """A document to look at."""

    document: Json


class Import(WithDocument):
    """A document to bring in: a new workflow, or a new version of the one of that name."""

    document: Json
    publish: bool = True


class NewVersion(WithDocument):
    """Keep the draft, or ``document`` in its place, as a version. ``revision`` is the draft that was seen."""

    revision: int | None = None
    note: str = Field(default="", max_length=1000)
    document: Json | None = None
    publish: bool = False


class Publish(Body):
    """The version that starts are to use; the latest where none is named."""

    version: int | None = None


class NewRun(Body):
    """A run, or with ``rows`` a batch. ``plan`` is the id of the plan run whose seal must still hold; that of a batch
    has its rows already, so none are given."""

    workflow: str = Field(description="Id or name.")
    version: int | None = None
    inputs: Json = Field(default_factory=dict)
    mode: Literal["plan", "apply"] = "plan"
    plan: UUID | None = None
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)
    only_node: str | None = Field(
        default=None, description="This step alone; for real it takes the right to draw workflows."
    )
    priority: Literal["low", "normal", "high"] | None = Field(default=None, description="That of the plan, or normal.")
    rows: list[Json] | None = Field(default=None, max_length=10_000, description="One run for each, as one batch.")
    skip_invalid: bool = False

    @model_validator(mode="after")
    def _means_one_thing(self) -> NewRun:
        """What a table cannot have is refused: whoever names it counts on it."""
        if self.rows is None:
            return self
        wrong = {
            "inputs": self.inputs and "Each row of a table is the inputs of its run: leave inputs out.",
            "only_node": self.only_node and "A single step is tried with one set of inputs, not with a table.",
            "plan": self.plan and self.rows and "The plan of a table has its rows: leave rows empty.",
            "mode": self.plan and not self.rows and self.mode == "plan" and "It is planned already: the mode is apply.",
        }
        problems = [Problem("not_with_rows", said, field=name) for name, said in wrong.items() if isinstance(said, str)]
        if problems:
            raise Invalid("What was sent is wrong.", problems=problems)
        return self


class NewWave(Body):
    """A wave: one workflow over the clients in ``to`` (short names) and those tagged with one of ``tags``.

    ``canary`` is the first stage, ``percents`` the shares of all clients after which a stage ends. ``plan`` is the id
    of a wave of mode plan, which is then carried out.
    """

    workflow: str = Field(description="Id or name.")
    version: int | None = None
    inputs: Json = Field(default_factory=dict)
    mode: Literal["plan", "apply"] = "plan"
    to: list[str] = Field(default_factory=list, max_length=2_000)
    tags: list[str] = Field(default_factory=list, max_length=100)
    canary: list[str] = Field(default_factory=list, max_length=2_000)
    percents: list[float] = Field(default=[10, 50], max_length=20)
    pause_s: float | Literal["manual"] = 0.0
    stop_at_percent: float = 20.0
    plan: UUID | None = None
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)
    priority: Literal["low", "normal", "high"] = "normal"


class Undo(Body):
    """How an undo begins: with its plan, or at once."""

    mode: Literal["plan", "apply"] = "apply"


class Retry(Body):
    """Which failed steps to try again; all of them where none is named."""

    nodes: list[str] = Field(default_factory=list)


class Again(Body):
    """Where a run begins again. ``outputs`` are written by hand in place of what those steps gave."""

    nodes: list[str] = Field(min_length=1, max_length=1000)
    outputs: Json = Field(default_factory=dict)
    mode: Literal["plan", "apply"] = "plan"
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)


class Settle(Body):
    """What became of a step whose outcome nobody knows. ``output`` is written by hand: what it gave, where later steps
    read it."""

    node: str
    outcome: Literal["done", "not_done"]
    output: Json | None = None


class Decision(Body):
    """An answer to an approval. ``seal`` is the one that was seen; ``otp`` a fresh code."""

    decision: str
    seal: str | None = None
    reason: str = Field(default="", max_length=2000)
    otp: str = Field(default="", max_length=64)


class NewTrigger(Body):
    """A way in which runs of a workflow start by themselves. ``config`` is as docs/how-to/triggers.md says."""

    name: str
    kind: Literal["schedule", "webhook", "event"]
    workflow: str = Field(description="Id or name.")
    version: int | None = Field(default=None, ge=1, description="None: whichever is published then.")
    mode: Literal["plan", "apply"] = "plan"
    inputs: Json = Field(default_factory=dict, description="Values, with {{ expressions }} over payload and client.")
    config: Json = Field(default_factory=dict)
    watch: bool = Field(default=False, description="A plan that is not empty is drift.")
    enabled: bool = True


class TriggerChange(Body):
    """What is given is changed. ``version`` 0 is whichever is published; ``revision`` is the one that was seen."""

    name: str | None = None
    workflow: str | None = None
    version: int | None = Field(default=None, ge=0)
    mode: Literal["plan", "apply"] | None = None
    inputs: Json | None = None
    config: Json | None = None
    watch: bool | None = None
    revision: int | None = None


class SchedulePreview(Body):
    """A schedule of which to see the coming times. ``seed`` is a trigger's id, to see them with its spread."""

    cron: str
    zone: str = "UTC"
    jitter_s: int = 0
    count: int = Field(default=10, ge=1, le=50)
    seed: UUID | None = None


class Fire(Body):
    """The same key fires once."""

    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)
