"""Waking workers. PostgreSQL knows what is to be done; a wake-up only says "look now", so losing one costs a second.

A job carries nothing but its name, in JSON: a job that someone puts into Redis can make a worker look, and no more
(:class:`app.engine.runtime.worker.WakeableWorker` refuses any other function).
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import uuid4

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat

from app.data.counters import redis_at

log = structlog.get_logger(__name__)

QUEUE_NAME = "opsloom"
WAKE_FUNCTION = "app.engine.runtime.jobs.look"

# A burst of starts needs no more wake-ups than there are workers to hear them: a worker that looks takes what is there.
_ENOUGH_WAITING = 16
_TTL_S = 60
# What RQ's enqueue does in four round trips, each of which the run that was just started would wait for.
_ENQUEUE = """
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('SADD', KEYS[3], KEYS[1])
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
"""


@cache
def _job() -> tuple[str, str, str, dict[str, Any]]:
    """The queue's key, the beginning of a job's key, the key of the list of queues, and a wake-up as RQ stores it."""
    queue = Queue(QUEUE_NAME, connection=Redis(), serializer=JSONSerializer)  # makes jobs; it is never connected
    job = queue.create_job(WAKE_FUNCTION, timeout=-1, result_ttl=0, failure_ttl=60, ttl=_TTL_S, status=JobStatus.QUEUED)
    job.origin = QUEUE_NAME
    stored = {**job.to_dict(), "status": JobStatus.QUEUED.value}
    return queue.key, job.key_for(""), queue.redis_queues_keys, stored


async def wake(redis_url: str) -> None:
    """Ask a worker to look. Called after the commit; a Redis that does not answer is only logged."""
    queue, prefix, queues, stored = _job()
    number, moment = str(uuid4()), utcformat(now())
    fields = {**stored, "created_at": moment, "enqueued_at": moment}
    flat = [part for pair in fields.items() for part in pair]
    try:
        keys = (queue, prefix + number, queues)
        await redis_at(redis_url).eval(_ENQUEUE, len(keys), *keys, _ENOUGH_WAITING, number, _TTL_S, *flat)
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("wakeup.failed", error=type(error).__name__)
