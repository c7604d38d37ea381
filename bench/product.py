"""The whole product for measuring what people see of it: started as `opsloom up` does, in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.home import PROJECT
from app.embedded.state import free_port

_UP_TIMEOUT_S = 300


@dataclass(frozen=True)
class Product:
    """A product that runs, with its demo data."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def opsloom(self, *arguments: str) -> str:
        """What the command prints. Raises CalledProcessError where it fails."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPSLOOM_")}
        environment = {**kept, "OPSLOOM_HOME": str(self.home), "OPSLOOM_PORT": str(self.port)}
        command = [sys.executable, "-m", "app.cli", *arguments]
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=_UP_TIMEOUT_S, check=True
        )
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.opsloom(*arguments, "--json"))

    def account(self, role: str) -> dict[str, Any]:
        """The demo account of that role, with its password."""
        found: list[dict[str, Any]] = json.loads((self.home / "demo-accounts.json").read_text())
        return next(one for one in found if one["role"] == role)


@contextmanager
def running_product() -> Iterator[Product]:
    """A product that ends with the block."""
    home = Path(tempfile.mkdtemp(prefix="opsloom-bench-"))
    made = Product(home, free_port())
    try:
        made.opsloom("up")
        yield made
    finally:
        made.opsloom("down")
        shutil.rmtree(home, ignore_errors=True)
