"""Waking workers. PostgreSQL knows what is to be done; a wake-up only says "look now", so losing one costs a second.

A job carries nothing but its name, in JSON: a job that someone puts into Redis can make a worker look, and no more
(:class:`app.engine.runtime.worker.WakeableWorker` refuses any other function).
"""

from __future__ import annotations

import asyncio
from functools import cache

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

log = structlog.get_logger(__name__)

QUEUE_NAME = "opsloom"
WAKE_FUNCTION = "app.engine.runtime.jobs.look"

# A burst of starts needs no more wake-ups than there are workers to hear them: a worker that looks takes what is there.
_ENOUGH_WAITING = 16


@cache
def _queue(redis_url: str) -> Queue:
    connection = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
    return Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer)


def _enqueue(redis_url: str) -> None:
    queue = _queue(redis_url)
    if queue.count < _ENOUGH_WAITING:
        queue.enqueue(WAKE_FUNCTION, job_timeout=-1, result_ttl=0, failure_ttl=60, ttl=60)


async def wake(redis_url: str) -> None:
    """Ask a worker to look. Called after the commit; a Redis that does not answer is only logged."""
    try:
        await asyncio.to_thread(_enqueue, redis_url)
    except RedisError as error:
        log.warning("wakeup.failed", error=type(error).__name__)
