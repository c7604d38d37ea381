"""The product behind the fixture ``product``: what `opsloom up` starts, driven through the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from app.core.home import PROJECT
from app.core.settings import Settings
from app.embedded.state import free_port
from app.services.auth import present_code

CHROMIUM = Path("/usr/bin/chromium")
_UP_TIMEOUT_S = 300
_CODE_LASTS_S = 30


@dataclass
class Product:
    """One home of the product, running or not."""

    home: Path
    port: int | None = None
    used: dict[str, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The caller's environment without settings of another stack."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPSLOOM_")}
        chosen = {"OPSLOOM_PORT": str(self.port)} if self.port else {}
        return {**kept, **chosen, "OPSLOOM_HOME": str(self.home)}

    def opsloom(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the command; its exit status is the caller's to judge."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def json(self, *arguments: str) -> Any:
        """What the command prints with ``--json``, which must be JSON and nothing else."""
        return json.loads(self.opsloom(*arguments, "--json").stdout)

    def up(self) -> subprocess.CompletedProcess[str]:
        """`opsloom up`, to its end."""
        return self.opsloom("up", timeout_s=_UP_TIMEOUT_S)

    @property
    def settings(self) -> Settings:
        """The settings as the product's own processes read them. Only where no OPSLOOM_ variable is set."""
        values = json.loads((self.home / "settings.json").read_text())
        return Settings(**{**values, "home": self.home})

    @property
    def url(self) -> str:
        return self.settings.base_url

    @cached_property
    def accounts(self) -> list[dict[str, Any]]:
        """The demo accounts with their passwords."""
        found: list[dict[str, Any]] = json.loads((self.home / "demo-accounts.json").read_text())
        return found

    def code(self, email: str) -> str:
        """A code of the account that nobody has used: the present one, or the next, which is taken a moment early."""
        account = next(one for one in self.accounts if one["email"] == email)
        step = max(int(time.time()) // _CODE_LASTS_S, self.used.get(email, 0) + 1)
        while step > int(time.time()) // _CODE_LASTS_S + 1:
            time.sleep(0.5)
        self.used[email] = step
        return present_code(account["totp_secret"], at=step * _CODE_LASTS_S)


@contextmanager
def running_product() -> Iterator[Product]:
    """The stack that OPSLOOM_E2E_HOME names, or one of its own that ends with the block."""
    named = os.environ.get("OPSLOOM_E2E_HOME")
    if named:
        yield Product(Path(named))
        return
    with own_product() as made:
        done = made.up()
        assert done.returncode == 0, done.stderr + done.stdout
        yield made


@contextmanager
def own_product() -> Iterator[Product]:
    """A home that is not started yet, on a free port; whatever runs in it ends with the block."""
    home = Path(tempfile.mkdtemp(prefix="opsloom-product-"))
    made = Product(home, free_port())
    try:
        yield made
    finally:
        made.opsloom("down")
        shutil.rmtree(home, ignore_errors=True)
