"""A worker process: RQ listens for wake-ups in the main thread, runs are walked on one event loop in another.

PostgreSQL is polled in any case, so that the worker goes on while Redis is away.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
import uvloop
from redis import Redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout, StopRequested
from rq.serializers import JSONSerializer

from app.core.ids import new_id
from app.core.process import process_name
from app.engine.runtime import jobs
from app.engine.runtime.dispatch import Dispatch
from app.engine.runtime.lease import LEASE_TTL_S
from app.engine.runtime.pump import Pump
from app.engine.runtime.wakeup import QUEUE_NAME

log = structlog.get_logger(__name__)

Build = Callable[[Any], Awaitable[tuple[Dispatch, Pump, Callable[[], Awaitable[None]]]]]

_REDIS_AWAY_S = 1.0
_STOP_PATIENCE_S = 25.0
_SIGN_EVERY_S = 15.0
# Of our threads one runs at a time: what was woken for goes before listening for more, which takes as long as a step.
_MAKE_WAY_S = 0.002


class Wakeups(Queue):
    """Hears wake-ups. What comes out of Redis says that somebody is to look, whatever it is called: it is neither read
    nor performed."""

    @classmethod
    def dequeue_any(cls, queues: Iterable[Queue], timeout: int | None, connection: Redis, *_: Any, **__: Any) -> None:
        """Look as often as there are wake-ups: those there are, or the first that comes within ``timeout`` seconds.

        Raises DequeueTimeout where it was told to wait: it is to be asked again.
        """
        keys = [queue.key for queue in queues]
        if timeout is None:
            while any(connection.lpop(key) for key in keys):
                jobs.look()
            return
        if connection.blpop(keys, timeout):
            jobs.look()
            time.sleep(_MAKE_WAY_S)
        raise DequeueTimeout(timeout, keys)


class WakeableWorker(SimpleWorker):
    """A worker as RQ knows it, which performs nothing."""

    queue_class = Wakeups
    max_connection_wait_time = 1.0
    stopping: threading.Event
    _next_sign = 0.0

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()
        # A signal that came before the handlers were in place was noted, and is seen at the first turn of the loop.
        self._stop_requested = self.stopping.is_set()

    def request_stop(self, signum: Any, frame: Any) -> None:
        self.stopping.set()
        super().request_stop(signum, frame)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """A sign of life now and then: RQ gives one whenever it has heard something. One counts for minutes."""
        if pipeline is not None or time.monotonic() >= self._next_sign:
            super().heartbeat(timeout, pipeline)
            self._next_sign = time.monotonic() + _SIGN_EVERY_S


class LeaseKeeper:
    """The process that renews our lease; it learns of our end by the pipe that closes with us."""

    def __init__(self, dsn: str, worker_id: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module and our own id
            [sys.executable, "-m", "app.engine.runtime.lease", worker_id],
            stdin=subprocess.PIPE,
            env={**os.environ, "OPSLOOM_LEASE_DSN": dsn},
            start_new_session=True,
        )

    def close(self) -> None:
        """End the lease now and wait until that is done."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()


class EngineThread:
    """The event loop on which runs are walked, with everything that belongs to it."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self.worker_id = new_id()
        self.pump: Pump | None = None
        self.failed = False
        self._orderly = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)

    def start(self) -> None:
        """Return when the worker has its lease, or has failed."""
        self._thread.start()
        self._ready.wait()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException:
            self.failed = True
            log.exception("worker.engine_failed")
        finally:
            self._ready.set()
            # A thread that ends unasked ends the process: it would hold its lease and do nothing.
            os.kill(os.getpid(), signal.SIGTERM)

    async def _serve(self) -> None:
        dispatch, self.pump, close = await self._build(self.worker_id)
        await self._register(dispatch)
        self._ready.set()
        await self.pump.run()
        # Whoever took us for dead has our runs; nothing of ours can be written any more.
        self.failed = self.pump.lease_lost
        self._orderly = await self.pump.drain(0 if self.failed else _STOP_PATIENCE_S)
        await close()

    async def _register(self, dispatch: Dispatch) -> None:
        """Take a lease, waiting for PostgreSQL where it is not up yet, or not migrated yet."""
        while True:
            try:
                await dispatch.register(process_name(), LEASE_TTL_S)
            except Exception as error:
                sqlstate = getattr(error, "sqlstate", None)
                log.warning("worker.not_registered", error=type(error).__name__, sqlstate=sqlstate)
                await asyncio.sleep(1)
            else:
                return

    def stop(self) -> bool:
        """Hand the runs over and end the thread. False where calls had to be left in the middle."""
        if self.pump and self._thread.is_alive():
            self.pump.stop()
        self._thread.join(timeout=2 if self.failed else _STOP_PATIENCE_S + 10)
        return self._orderly and not self._thread.is_alive()


def _stop_on_signal(stopping: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())


def _listen(redis_url: str, stopping: threading.Event) -> None:
    """Serve wake-ups until told to stop; Redis may be away for any time, and RQ may end for any reason of its own."""
    while not stopping.is_set():
        try:
            connection = Redis.from_url(redis_url, socket_connect_timeout=2)
            queue = Wakeups(QUEUE_NAME, connection=connection, serializer=JSONSerializer)
            listener = WakeableWorker([queue], connection=connection, serializer=JSONSerializer, name=str(new_id()))
            listener.stopping = stopping
            listener.work(with_scheduler=False, logging_level="WARNING")
        except StopRequested:
            stopping.set()
        except Exception as error:
            log.warning("worker.redis_away", error=type(error).__name__)
        _stop_on_signal(stopping)  # RQ put its own handlers in place while it worked
        stopping.wait(_REDIS_AWAY_S)


def serve(redis_url: str, lease_dsn: str, build: Build) -> None:
    """Work until SIGTERM or SIGINT, then finish the steps in hand and give the runs back.

    Exits with 1 where the lease was lost or the engine broke: whoever watches over workers starts another.
    """
    stopping = threading.Event()
    _stop_on_signal(stopping)
    engine = EngineThread(build)
    # It begins before there is a lease to renew: so it takes no processor from the first runs, nor is it late for them.
    lease = LeaseKeeper(lease_dsn, str(engine.worker_id))
    engine.start()
    if engine.pump:
        jobs.on_look(engine.pump.poke)
        log.info("worker.ready", worker_id=str(engine.worker_id), name=process_name())
    _listen(redis_url, stopping)
    orderly = engine.stop()
    log.info("worker.stopped", worker_id=str(engine.worker_id), orderly=orderly)
    if not orderly or engine.failed:
        # Threads may be in the middle of a call: only the end of the process proves that they send nothing more. The
        # lease keeper sees it by its pipe.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(engine.failed))
    lease.close()
