"""The states of a run, as far as more than one part of the house asks for them."""

from __future__ import annotations

# Nothing further happens in a run that is in one of these, unless a person tries it again.
OVER = ("succeeded", "failed", "cancelled")
