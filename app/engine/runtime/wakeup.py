"""Waking workers. PostgreSQL knows what is to be done; a wake-up only says "look now", so losing one costs a second.

There is one job, without arguments, which is put into RQ's queue as often as a worker is to look. Whoever takes it out
looks, and does not read it (:class:`app.engine.runtime.worker.Wakeups`): what someone puts into Redis can make a worker
look, and no more.
"""

from __future__ import annotations

from functools import cache

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from app.data.counters import redis_at

log = structlog.get_logger(__name__)

QUEUE_NAME = "opsloom"
WAKE_FUNCTION = "app.engine.runtime.jobs.look"

_JOB = "look"
# A burst of starts needs no more wake-ups than there are workers to hear them: a worker that looks takes what is there.
_ENOUGH_WAITING = 16
# What RQ's enqueue does in four round trips, each of which the run that was just started would wait for. RQ's own tools
# show the job; nobody else reads it.
_ENQUEUE = """
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('HSET', KEYS[2], unpack(ARGV, 3))
    redis.call('SADD', KEYS[3], KEYS[1])
end
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
"""


@cache
def _wakeup() -> tuple[str | int | bytes, ...]:
    """The script's keys and arguments: the queue, the job, the list of queues; and the job as RQ stores it."""
    queue = Queue(QUEUE_NAME, connection=Redis(), serializer=JSONSerializer)  # makes jobs; it is never connected
    job = queue.create_job(WAKE_FUNCTION, job_id=_JOB, timeout=-1, result_ttl=0, status=JobStatus.QUEUED)
    job.origin = QUEUE_NAME
    stored = {**job.to_dict(), "status": JobStatus.QUEUED.value}
    flat = [part for pair in stored.items() for part in pair]
    return (queue.key, job.key, queue.redis_queues_keys, _ENOUGH_WAITING, _JOB, *flat)


async def wake(redis_url: str) -> None:
    """Ask a worker to look. Called after the commit; a Redis that does not answer is only logged."""
    try:
        await redis_at(redis_url).eval(_ENQUEUE, 3, *_wakeup())
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("wakeup.failed", error=type(error).__name__)
