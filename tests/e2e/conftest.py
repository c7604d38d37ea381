"""A browser for each file, and the people who sit at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Person, chromium, sign_in
from tests.product import Product


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def engineer(browser: Browser, product: Product) -> Person:
    return sign_in(browser, product, "engineer")


@pytest.fixture(scope="module")
def owner(browser: Browser, product: Product) -> Person:
    return sign_in(browser, product, "owner")


@pytest.fixture(scope="module")
def approver(browser: Browser, product: Product) -> Person:
    return sign_in(browser, product, "approver")
