"""Wake-ups in Redis: each is heard once; whatever else lies there is taken for one, and is not performed."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.exceptions import DequeueTimeout
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
        for key in connection.keys("rq:job:*"):
            connection.delete(key)
        yield found


def listen(queue: Queue) -> None:
    """Take what there is, as a worker does."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    worker = WakeableWorker([queue], connection=queue.connection, serializer=JSONSerializer, name=str(new_id()))
    worker.stopping = threading.Event()
    worker.work(burst=True, logging_level="WARNING")
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_each_wake_up_is_heard_once(web: TestStack, queue: Queue, pokes: list[int]) -> None:
    asyncio.run(wake(web.redis_url))
    asyncio.run(wake(web.redis_url))
    assert queue.count == 2
    assert [(job.func_name, job.args) for job in queue.jobs] == [(WAKE_FUNCTION, [])] * 2, "as RQ's own tools show it"
    listen(queue)
    assert len(pokes) == 2
    assert queue.count == 0
    assert len(queue.connection.keys("rq:job:*")) == 1, "there is one job, however often it was in the queue"


def test_a_burst_of_wake_ups_stays_small(web: TestStack, queue: Queue, pokes: list[int]) -> None:
    async def burst() -> None:
        for _ in range(40):
            await wake(web.redis_url)

    asyncio.run(burst())
    assert queue.count == 16
    listen(queue)
    assert len(pokes) == 16


def test_a_waiting_worker_hears_at_once(web: TestStack, queue: Queue, pokes: list[int]) -> None:
    """It was asked to wait for longer than this test lasts."""
    heard = threading.Thread(target=_wait, args=(queue,))
    heard.start()
    asyncio.run(wake(web.redis_url))
    heard.join(timeout=20)
    assert not heard.is_alive()
    assert len(pokes) == 1


def _wait(queue: Queue) -> None:
    with pytest.raises(DequeueTimeout):
        Wakeups.dequeue_any([queue], 300, queue.connection)


@pytest.mark.parametrize("function", ["pathlib.Path.touch", WAKE_FUNCTION], ids=["another-function", "with-arguments"])
def test_another_job_is_not_performed(queue: Queue, pokes: list[int], tmp_path: Path, function: str) -> None:
    queue.enqueue(function, str(tmp_path / "touched"), on_success=None)
    listen(queue)
    assert list(tmp_path.iterdir()) == []
    assert len(pokes) == 1, "whatever comes out of the queue is taken for a wake-up"
    assert queue.count == 0
