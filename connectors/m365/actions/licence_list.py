"""List the tenant's licences with their free seats."""

from __future__ import annotations

from typing import Any

from connectors.base import Output, Params, ReadAction, Text
from connectors.m365.actions.licences import CATEGORY
from connectors.m365.client import M365Client
from connectors.m365.directory import Sku, skus
from connectors.m365.products import name_of


class LicenceRow(Output):
    """One subscription. ``detail`` shows the free seats out of all."""

    sku_id: str
    sku_part_number: str
    name: str
    total: int
    taken: int
    free: int
    detail: str


class ListLicences(ReadAction[M365Client, Any]):
    """Those with free seats first."""

    id = "m365.licence.list"
    title = Text("List licences", "Lister les licences")
    summary = Text("The tenant's licences and free seats.", "Les licences du tenant et leurs places libres.")
    category = CATEGORY
    icon = "badge-check"
    permissions = ("Organization.Read.All",)

    class Params(Params):
        pass

    class Output(Output):
        items: list[LicenceRow]

    async def read(self, client: M365Client, params: Params) -> Output:
        rows = [_row(sku) for sku in await skus(client)]
        return self.Output(items=sorted(rows, key=lambda row: (row.free < 1, row.name.casefold())))


def _row(sku: Sku) -> LicenceRow:
    free = max(sku.total - sku.taken, 0)
    return LicenceRow(
        sku_id=sku.id,
        sku_part_number=sku.part,
        name=name_of(sku.part),
        total=sku.total,
        taken=sku.taken,
        free=free,
        detail=f"{free} / {sku.total}",
    )
