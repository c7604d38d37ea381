"""What many walks ask of the database at the same moment, asked as one: a round trip and a commit for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

# More than this makes those in front wait for those behind.
_MOST = 32
# While the database works on one part, the next is already on its way.
_AT_ONCE = 2


class Together(Generic[A, R]):
    """Gathers what comes while others are being answered, and has ``answer`` answer it at once.

    ``answer`` gives for each ask, in order, its answer or the exception that is its own; what it raises is raised to
    all of them. Whoever asks alone waits for nobody.
    """

    def __init__(self, answer: Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]]) -> None:
        self._answer = answer
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._serving = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, what: A) -> R:
        """The answer to ``what``. Whoever is cancelled before it was sent has asked nothing."""
        if not self._serving:
            self._serving += 1
            try:
                await asyncio.sleep(0)  # all that is ready now runs, and perhaps asks too
                if not self._waiting:
                    return _given(*await self._answer([what]))
            finally:
                self._serving -= 1
                self._serve_on()
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((what, future))
        self._serve_on()
        return await future

    def _serve_on(self) -> None:
        if self._waiting and self._serving < _AT_ONCE:
            self._serving += 1
            # A task of nobody in particular: it logs under nobody's name, and ends with nobody.
            task = asyncio.create_task(self._serve(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        try:
            while part := self._next_part():
                await self._serve_part(part)
        finally:
            self._serving -= 1  # before anybody else can ask, who would otherwise wait for one that has gone

    async def _serve_part(self, part: list[tuple[A, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._answer([what for what, _ in part])
        except Exception as error:
            answers = [error] * len(part)
        except BaseException:
            for _, future in part:
                future.cancel()
            raise
        for (_, future), answer in zip(part, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _next_part(self) -> list[tuple[A, asyncio.Future[R]]]:
        asked = [(what, future) for what, future in self._waiting if not future.done()]
        self._waiting = asked[_MOST:]
        return asked[:_MOST]


def _given(answer: R | Exception) -> R:
    if isinstance(answer, Exception):
        raise answer
    return answer
