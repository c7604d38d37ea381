"""Wake-ups in Redis: heard once, leaving nothing behind; whatever else lies there is not performed."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from app.core.ids import new_id
from app.engine.runtime import jobs
from app.engine.runtime.wakeup import QUEUE_NAME, WAKE_FUNCTION, wake
from app.engine.runtime.worker import WakeableWorker, Wakeups
from tests.servers import TestStack


@pytest.fixture
def pokes() -> Iterator[list[int]]:
    """Grows with each look."""
    found: list[int] = []
    jobs.on_look(lambda: found.append(1))
    yield found
    jobs.on_look(lambda: None)


@pytest.fixture
def queue(web: TestStack) -> Iterator[Queue]:
    with Redis.from_url(web.redis_url) as connection:
        found = Wakeups(QUEUE_NAME, connection=connection, serializer=JSONSerializer)
        found.empty()  # of what other tests have started
        yield found


def listen(queue: Queue) -> None:
    """Take what there is, as a worker does."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    worker = WakeableWorker([queue], connection=queue.connection, serializer=JSONSerializer, name=str(new_id()))
    worker.stopping = threading.Event()
    worker.work(burst=True, logging_level="WARNING")
    for number, handler in handlers.items():
        signal.signal(number, handler)


def left(queue: Queue) -> list[bytes]:
    """What Redis still has of jobs."""
    return [*queue.connection.keys("rq:job:*"), *queue.connection.keys("*:intermediate")]


def test_a_wake_up_is_heard_once_and_leaves_nothing_behind(web: TestStack, queue: Queue, pokes: list[int]) -> None:
    asyncio.run(wake(web.redis_url))
    asyncio.run(wake(web.redis_url))
    assert queue.count == 2
    listen(queue)
    assert len(pokes) == 2
    assert (queue.count, left(queue)) == (0, [])


@pytest.mark.parametrize("function", ["pathlib.Path.touch", WAKE_FUNCTION], ids=["another-function", "with-arguments"])
def test_another_job_is_not_performed(queue: Queue, pokes: list[int], tmp_path: Path, function: str) -> None:
    queue.enqueue(function, str(tmp_path / "touched"), on_success=None)
    listen(queue)
    assert list(tmp_path.iterdir()) == []
    assert len(pokes) == 1, "whatever comes out of the queue is taken for a wake-up"
    assert (queue.count, left(queue)) == (0, [])
