"""Links a folder's JavaScript into the front end's build, quickly."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_SUFFIXES = frozenset({".js", ".jsx", ".css"})


def linked(folder: Path, asset: Callable[[str], Any]) -> dict[str, Any]:
    """What ``asset`` gives for each module in ``folder``, by file name.

    ``asset`` is a function of the module that stands beside the files, since ``rx.asset`` finds them by its caller. It
    looks through the whole call stack, source lines included: at the bottom of many nested imports that took a fifth of
    a second a file. In a thread of its own the stack is three calls deep.
    """
    names = [path.name for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES]
    with ThreadPoolExecutor(1, thread_name_prefix="assets") as aside:
        return dict(zip(names, aside.map(asset, names), strict=True))
