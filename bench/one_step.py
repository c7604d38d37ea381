"""one_step_http: a run of one step, asked for over HTTP, until its result has come back over HTTP."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from app.embedded.layout import Layout
from bench.limits import fsync_us
from bench.peers import Peers
from bench.product import running_product
from bench.waiting import document, p50_p99, superuser_of

WARM, TIMED = 20, 200
_CLIENT = "contoso"


def one_step_http(times: int) -> dict[str, Any]:
    """Milliseconds of a request that starts a run and is answered when the run is over, on a warm product.

    The limit is the same client's time for the liveness answer of the same server.
    """
    with running_product() as product:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(document("one step", ["only"]), file)
            file.flush()
            product.opsloom("workflow", "import", file.name, "--client", _CLIENT)
        token = product.json("token", "create", "--account", product.account("owner")["email"], "--client", _CLIENT)
        headers = {"Authorization": f"Bearer {token['token']}", "Content-Type": "application/json"}
        medians, slowest, bare = [], [], []
        peers = Peers(superuser_of(Layout(product.home)), "one_step_http")
        for _ in range(times):
            # The plainest client there is: the time it takes itself is in every figure. A new one each time, as the
            # server closes a connection that waits while peers are measured.
            with closing(HTTPConnection(urlsplit(product.url).netloc, timeout=60)) as link:
                for _ in range(WARM):
                    _one(link, headers)
                p50, p99 = p50_p99([_one(link, headers) for _ in range(TIMED // times)])
                medians.append(p50)
                slowest.append(p99)
                bare.append(median(_alive(link) for _ in range(50)))
            peers.measure()
        fsync = round(fsync_us(Path(product.home)), 1)
    return {
        "workload": "one_step_http",
        "unit": "ms",
        "ours": round(median(medians), 2),
        "limit": round(median(bare), 2),
        "peers": peers.medians(),
        "runs": times,
        "fsync_us": fsync,
        "note": f"p50; p99 {median(slowest):.1f} ms; the run is planned, sealed, walked and ended in between; peers"
        f" through their own clients{peers.note}",
    }


def _one(link: HTTPConnection, headers: dict[str, str]) -> float:
    asked = json.dumps({"workflow": "one step", "mode": "apply"})
    path, wait = f"/api/v1/clients/{_CLIENT}/runs", {"Prefer": "wait=30"}
    took, answer = _asked(link, "POST", path, asked, {**headers, **wait})
    assert json.loads(answer)["state"] == "succeeded", answer
    return took


def _alive(link: HTTPConnection) -> float:
    return _asked(link, "GET", "/healthz", None, {})[0]


def _asked(
    link: HTTPConnection, method: str, path: str, body: str | None, headers: dict[str, str]
) -> tuple[float, str]:
    """Milliseconds from the request until all of the answer is there, and the answer."""
    began = time.perf_counter()
    link.request(method, path, body, headers)
    answer = link.getresponse()
    text = answer.read().decode()
    took = (time.perf_counter() - began) * 1000
    assert answer.status < 400, text
    return took, text
