"""What operators and their programs ask: is it alive, is it ready, what are its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.api.who import current_actor
from app.core import metrics
from app.services import health

router = APIRouter(tags=["operations"])
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


@router.get("/healthz")
async def alive() -> dict[str, bool]:
    """The process answers. It asks nobody else, so that a fault elsewhere does not restart it."""
    return {"alive": True}


@router.get("/readyz")
async def ready() -> JSONResponse:
    """Each part that requests need, and its state; 503 where one is down."""
    found = await health.readiness()
    parts = {part.name: part.model_dump(exclude={"name"}) for part in found.parts}
    return JSONResponse({"ready": found.ready, "parts": parts}, 200 if found.ready else 503)


@router.get("/metrics")
async def numbers(request: Request) -> Response:
    """For Prometheus: from this machine, or with the token of someone who may see the health of the system."""
    if not from_this_machine(request):
        await health.status(await current_actor(request))
    return Response(await exposition(), media_type=CONTENT_TYPE_LATEST)


def from_this_machine(request: Request) -> bool:
    """Whether the request came over loopback and from nobody behind a proxy."""
    try:
        local = ip_address(request.client.host).is_loopback if request.client else False
    except ValueError:
        return False
    return local and not any(name in request.headers for name in _FORWARDED)


async def exposition() -> bytes:
    """Counters of all processes, and the gauges that are read now."""
    found = await health.readiness()
    gauges = CollectorRegistry()
    gauges.register(_Gauges(found))
    return generate_latest(metrics.registry()) + generate_latest(gauges)


class _Gauges(Collector):
    """The queue, the workers and the parts at this moment."""

    def __init__(self, found: health.HealthView) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield _family(
            "opsloom_part_up",
            "Whether a part answers.",
            "part",
            {part.name: float(part.state == "up") for part in self._found.parts},
        )
        queue: dict[str, Any] = self._found.queue
        if not queue:
            return
        states = {name: queue[name] for name in ("due", "claimed", "timers", "idle")}
        yield _family("opsloom_queue_runs", "Runs in the queue by what they wait for.", "state", states)
        yield GaugeMetricFamily(
            "opsloom_queue_oldest_due_seconds", "How long the longest has waited for a worker.", queue["oldest_due_s"]
        )
        leases = {"worker": queue["workers"], "scheduler": queue["schedulers"], "expired": queue["expired_leases"]}
        yield _family("opsloom_workers", "Processes with a lease.", "kind", leases)


def _family(name: str, text: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
