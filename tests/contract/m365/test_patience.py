"""How long answers of Microsoft Graph are waited for."""

from __future__ import annotations

import httpx
import pytest

from connectors.errors import Retryable
from tests.contract.m365.conftest import LIAM, Office


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.m365.client.TIMEOUT", httpx.Timeout(0.5, connect=10.0))
    monkeypatch.setattr("connectors.m365.client.READ_TRIES", 1)


async def test_a_write_is_awaited_longer_than_a_read(hasty: None, office: Office) -> None:
    planned = await office.plan("m365.user.update", user=LIAM, department="Legal")
    office.control.fault("slow", writes=True, seconds=1.0)
    applied = await office.apply("m365.user.update", planned.change, user=LIAM, department="Legal")
    assert (applied.change.kind, applied.adopted) == ("update", False)
    office.control.fault("slow", writes=False, seconds=1.0)
    with pytest.raises(Retryable):
        await office.read("m365.user.get", user=LIAM)
