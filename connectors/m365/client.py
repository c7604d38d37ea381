"""The signed-in link to one Microsoft 365 tenant: what the actions call."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from connectors.base import Attempt, Environment, Json
from connectors.errors import AuthFailed, ConnectorError, OutcomeUnknown, Retryable, Throttled
from connectors.m365.config import M365Config
from connectors.m365.errors import lost, refusal
from connectors.m365.signin import SignIn

if TYPE_CHECKING:
    from msgraph import GraphServiceClient

GRAPH = "https://graph.microsoft.com/v1.0"
# How long a read may be silent. A write is awaited until its attempt's deadline, as a late answer is no lost one.
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
READ_TRIES = 3
# Longer waits are the engine's: it puts the run aside instead of keeping a worker waiting.
PATIENCE_S = 8.0
NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
PAGE = 999

Path = Callable[[Any], Any]
Send = Callable[[Any, Any], Awaitable[Any]]


class M365Client:
    """One client's tenant, through the vendor's SDK.

    The SDK builds and sends the requests. Its own retries are off: reads are repeated here, within bounds, and a write
    is sent once. Answers are read as JSON: the SDK's models take 6 ms for each object, with the GIL held (measured).
    """

    def __init__(self, client_id: UUID, config: M365Config, environment: Environment) -> None:
        self.client_id = client_id
        self.tenant = config.tenant_id
        self._endpoints = environment.endpoints
        self._observe, self._throttled = environment.observe, environment.throttled
        self._now = environment.now or (lambda: datetime.now(UTC))
        self.sign_in = SignIn(config, environment.endpoints)
        self.base_url = self._endpoints.get("graph", GRAPH).rstrip("/")
        self._http: httpx.AsyncClient | None = None
        self._service: GraphServiceClient | None = None
        self._opening = asyncio.Lock()

    def now(self) -> datetime:
        """The deployment's clock."""
        return self._now()

    def left(self, attempt: Attempt) -> float:
        """Seconds until the attempt must be over."""
        return (attempt.deadline - self.now()).total_seconds()

    async def get(self, operation: str, path: Path, *, eventual: bool = False, **query: Any) -> Json:
        """One read. ``path`` leads from the service client to a request builder; ``query`` are its options."""

        async def send(graph: Any, options: list[Any]) -> Any:
            builder = path(graph)
            return await builder.get(_configuration(builder, query, options, eventual=eventual))

        return await self._patiently(operation, send)

    async def pages(
        self, operation: str, path: Path, *, limit: int = 100_000, eventual: bool = False, **query: Any
    ) -> list[Json]:
        """All rows of a collection, page after page, up to ``limit``."""
        answer = await self.get(operation, path, eventual=eventual, **query)
        rows: list[Json] = list(answer["value"])
        while (link := answer.get("@odata.nextLink")) and len(rows) < limit:
            answer = await self._next_page(operation, path, self._trusted(link), eventual=eventual)
            rows += answer["value"]
        return rows[:limit]

    async def _next_page(self, operation: str, path: Path, link: str, *, eventual: bool) -> Json:
        async def send(graph: Any, options: list[Any]) -> Any:
            builder = path(graph).with_url(link)
            return await builder.get(_configuration(builder, {}, options, eventual=eventual))

        return await self._patiently(operation, send)

    def _trusted(self, link: str) -> str:
        """A link to the next page; one that leads elsewhere must not get our token."""
        if urlsplit(link)[:2] != urlsplit(self.base_url)[:2]:
            raise AuthFailed("Microsoft Graph gave a link to another host; it was not followed.", code="foreign_link")
        return link

    async def write(self, operation: str, attempt: Attempt, send: Send) -> Json:
        """One change, sent once and never after the attempt's deadline.

        ``send(graph, configuration)`` makes the request. Raises ``OutcomeUnknown`` where it was sent and no clear
        answer came, and any other error only where nothing was done.
        """

        async def make(graph: Any, options: list[Any]) -> Any:
            return await send(graph, _configuration(None, {}, options))

        try:
            await self.sign_in.token()  # a failure to sign in is not a write of unknown outcome
        except Throttled as error:
            self._tell(error)
            raise
        if self.left(attempt) <= 1.0:
            raise Retryable("Too little time was left for this attempt; nothing was sent.", code="deadline")
        try:
            async with asyncio.timeout(self.left(attempt)):
                return await self._observed(operation, make, write=True)
        except TimeoutError:
            raise OutcomeUnknown(f"{operation} was sent to Microsoft Graph and no answer came in time.") from None

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()
        await self.sign_in.forget()

    async def _patiently(self, operation: str, send: Send) -> Json:
        """A read, repeated while the fault passes soon."""
        waited = 0.0
        for again in range(READ_TRIES - 1):
            try:
                return await self._observed(operation, send, write=False)
            except Retryable as error:
                wait = error.retry_after if isinstance(error, Throttled) else 0.5 * 2**again
                waited += wait
                if waited > PATIENCE_S:
                    raise
                await asyncio.sleep(wait)
        return await self._observed(operation, send, write=False)

    async def _observed(self, operation: str, send: Send, *, write: bool) -> Json:
        started, outcome = perf_counter(), "cancelled"
        try:
            answer = await self._once_or_anew(operation, send, write=write)
            outcome = "ok"
            return answer
        except ConnectorError as error:
            outcome = error.code
            self._tell(error)
            raise
        finally:
            if self._observe:
                self._observe("m365", operation, perf_counter() - started, outcome)

    def _tell(self, error: ConnectorError) -> None:
        """Where Microsoft asks for fewer requests, whoever else asks this tenant is told before anybody waits."""
        if self._throttled and isinstance(error, Throttled):
            self._throttled(error.retry_after)

    async def _once_or_anew(self, operation: str, send: Send, *, write: bool) -> Json:
        """Send; where Graph does not accept the token (401: nothing was done), once more with a new one."""
        try:
            return await self._once(operation, send, write=write)
        except AuthFailed as error:
            if error.details.get("status") != 401:
                raise
        await self.sign_in.forget()
        return await self._once(operation, send, write=write)

    async def _once(self, operation: str, send: Send, *, write: bool) -> Json:
        graph = await self._graph()
        try:
            response: httpx.Response = await send(graph, [_native()])
            content = response.content
        except NOTHING_SENT as error:
            raise lost(error, operation, write=write, sent=False) from None
        except httpx.HTTPError as error:
            raise lost(error, operation, write=write, sent=True) from None
        return _read(response.status_code, response.headers, content, operation, write=write)

    async def _graph(self) -> GraphServiceClient:
        async with self._opening:
            if self._service is None:
                await asyncio.to_thread(_load)
                self._http, self._service = _service(self.base_url, self._endpoints.get("ca_file"), self.sign_in)
            return self._service


def _read(status: int, headers: httpx.Headers, content: bytes, operation: str, *, write: bool) -> Json:
    """The answer's JSON object; an empty one where there is none. Raises what the status means."""
    try:
        body = json.loads(content) if content else {}
    except ValueError as error:
        if status < 400:
            raise lost(error, operation, write=write, sent=True) from None
        body = {}
    if status >= 400:
        raise refusal(status, headers, body, operation, write=write)
    return body if isinstance(body, dict) else {"value": body}


def _load() -> None:
    """Import the SDK, which takes a second, in a thread."""
    import msgraph
    import msgraph.generated.models.user  # noqa: F401


def _service(base_url: str, ca_file: str | None, sign_in: SignIn) -> tuple[httpx.AsyncClient, GraphServiceClient]:
    """The SDK's client over our own transport: no retries, our timeouts, our authorities."""
    from kiota_abstractions.authentication import BaseBearerTokenAuthenticationProvider
    from kiota_http.middleware.options import RetryHandlerOption
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph.graph_request_adapter import options
    from msgraph_core import GraphClientFactory

    from connectors.m365.bearer import Bearer

    hooks = {"request": [_patient_with_writes]}
    http = httpx.AsyncClient(timeout=TIMEOUT, verify=_authorities(ca_file), http2=True, event_hooks=hooks)
    off = {RetryHandlerOption.get_key(): RetryHandlerOption(max_retries=0, should_retry=False)}
    GraphClientFactory.create_with_default_middleware(client=http, options={**options, **off})
    bearer = Bearer(sign_in, urlsplit(base_url).hostname or "")
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(bearer), client=http)
    adapter.base_url = base_url
    return http, GraphServiceClient(request_adapter=adapter)


async def _patient_with_writes(request: httpx.Request) -> None:
    """Let a write's answer take its time; what bounds it is the attempt, in :meth:`M365Client.write`."""
    if request.method != "GET":
        request.extensions["timeout"] = {**request.extensions.get("timeout", {}), "read": None}


@lru_cache(maxsize=4)
def _authorities(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _native() -> Any:
    """The option that has the SDK hand over the HTTP answer instead of a model."""
    from kiota_abstractions.native_response_handler import NativeResponseHandler
    from kiota_http.middleware.options import ResponseHandlerOption

    return ResponseHandlerOption(NativeResponseHandler())


def _configuration(builder: Any, query: Json, options: list[Any], *, eventual: bool = False) -> Any:
    """The SDK's configuration of one request. Each builder brings the class of its own query options."""
    from kiota_abstractions.base_request_configuration import RequestConfiguration

    parameters = None
    if query:
        kind = next(value for name, value in vars(type(builder)).items() if name.endswith("GetQueryParameters"))
        parameters = kind(**query)
    configuration = RequestConfiguration(query_parameters=parameters, options=options)
    if eventual:
        configuration.headers.add("ConsistencyLevel", "eventual")
    return configuration
