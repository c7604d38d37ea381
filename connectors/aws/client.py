"""The signed-in link to one AWS account: what the actions call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID

from connectors.aws.config import AwsConfig
from connectors.aws.errors import translate
from connectors.aws.session import CONNECT_TIMEOUT_S, Link
from connectors.base import Attempt, Environment, Json
from connectors.errors import ConnectorError, OutcomeUnknown, Retryable

T = TypeVar("T")

# A takeover waits out the attempt's deadline. A write that starts later than this could still be connecting then.
SEND_WITHIN = timedelta(seconds=CONNECT_TIMEOUT_S + 1)


class AwsClient:
    """One client's AWS account. boto3 blocks, so every call runs in a thread.

    Errors come out as :mod:`connectors.errors`. A write is sent at most once per call.
    """

    def __init__(self, client_id: UUID, config: AwsConfig, environment: Environment) -> None:
        self.client_id = client_id
        self.region = config.region
        self._link = Link(client_id, config, environment)
        self._observe = environment.observe
        self._now = environment.now or (lambda: datetime.now(UTC))

    def now(self) -> datetime:
        """The deployment's clock."""
        return self._now()

    async def account(self, *, anew: bool = False) -> str:
        """Number of the account. Raises ``AuthFailed`` where it is not the connection's."""
        return await self._run("sign_in", lambda: self._link.account(anew=anew), write=False)

    async def read(self, operation: str, *, service: str = "ec2", **params: Any) -> Json:
        """One call that changes nothing, tried up to three times by botocore."""
        return await self._run(operation, lambda: self._link.call(service, operation, params, write=False), write=False)

    async def pages(self, operation: str, rows: str, *, limit: int = 5000, **params: Any) -> list[Json]:
        """All rows of a paged call, up to ``limit``."""
        found: list[Json] = []
        token: Json = {}
        while True:
            answer = await self.read(operation, **params, **token)
            found += answer.get(rows, [])
            if not answer.get("NextToken") or len(found) >= limit:
                return found[:limit]
            token = {"NextToken": answer["NextToken"]}

    async def write(self, operation: str, attempt: Attempt, **params: Any) -> Json:
        """One call that changes something, sent once and never after ``attempt.deadline``.

        Raises ``OutcomeUnknown`` where it was sent and no clear answer came.
        """

        def send() -> Json:
            if self.now() + SEND_WITHIN > attempt.deadline:
                raise Retryable("Too little time was left for this attempt; nothing was sent.", code="deadline")
            left_s = (attempt.deadline - self.now()).total_seconds()
            return self._link.call("ec2", operation, params, write=True, left_s=left_s)

        await self.account()  # a failure to sign in is not a write of unknown outcome
        left = (attempt.deadline - self.now()).total_seconds()
        try:
            async with asyncio.timeout(max(left, 0.001)):
                return await self._run(operation, send, write=True)
        except TimeoutError:
            raise OutcomeUnknown(f"{operation} was sent to AWS and no answer came in time.") from None

    async def aclose(self) -> None:
        await asyncio.to_thread(self._link.close)

    async def _run(self, operation: str, work: Callable[[], T], *, write: bool) -> T:
        """``work`` in a thread, observed, its error translated."""
        started, outcome = perf_counter(), "cancelled"
        try:
            result = await asyncio.to_thread(work)
            outcome = "ok"
            return result
        except ConnectorError as error:
            outcome = error.code
            raise
        except Exception as error:
            translated = translate(error, operation, write=write)
            outcome = translated.code
            raise translated from error
        finally:
            if self._observe:
                self._observe("aws", operation, perf_counter() - started, outcome)
