"""What is asked at the same moment is answered as one, and nobody waits for an answer that never comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.engine.runtime.together import Together


class Doubling:
    """Doubles numbers; what is negative is refused, what is 13 breaks everything it came with."""

    def __init__(self) -> None:
        self.parts: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, asked: Sequence[int]) -> list[int | Exception]:
        self.parts.append(list(asked))
        await self.gate.wait()
        if 13 in asked:
            raise RuntimeError("broken")
        return [2 * each if each >= 0 else ValueError(str(each)) for each in asked]


async def test_what_comes_at_once_goes_as_one() -> None:
    doubling = Doubling()
    together = Together(doubling)
    assert await asyncio.gather(*(together.ask(n) for n in range(5))) == [0, 2, 4, 6, 8]
    assert [sorted(part) for part in doubling.parts] == [[0, 1, 2, 3, 4]]


async def test_one_after_the_other_each_goes_alone() -> None:
    doubling = Doubling()
    together = Together(doubling)
    assert [await together.ask(n) for n in range(10)] == [2 * n for n in range(10)]
    assert doubling.parts == [[n] for n in range(10)]


async def test_what_comes_meanwhile_is_gathered() -> None:
    doubling = Doubling()
    doubling.gate.clear()
    together = Together(doubling)
    asked = []
    for n in range(6):
        asked.append(asyncio.create_task(together.ask(n)))
        await asyncio.sleep(0.001)
    doubling.gate.set()
    assert await asyncio.gather(*asked) == [2 * n for n in range(6)]
    assert doubling.parts == [[0], [1], [2, 3, 4, 5]], "two are on their way at most"


async def test_no_part_is_larger_than_it_may_be() -> None:
    doubling = Doubling()
    together = Together(doubling)
    assert await asyncio.gather(*(together.ask(n % 10) for n in range(100))) == [2 * (n % 10) for n in range(100)]
    assert max(map(len, doubling.parts)) == 32


async def test_a_refusal_is_told_to_whom_it_concerns() -> None:
    found = await asyncio.gather(*map(Together(Doubling()).ask, (1, -1, 2)), return_exceptions=True)
    assert (found[0], found[2]) == (2, 4)
    assert isinstance(found[1], ValueError)


async def test_what_breaks_is_told_to_all_and_the_next_are_served() -> None:
    together = Together(Doubling())
    found = await asyncio.gather(*map(together.ask, (1, 13)), return_exceptions=True)
    assert [type(each) for each in found] == [RuntimeError, RuntimeError]
    assert await together.ask(3) == 6


async def test_whoever_is_cut_off_before_it_was_sent_has_asked_nothing() -> None:
    doubling = Doubling()
    doubling.gate.clear()
    together = Together(doubling)
    sent = [asyncio.create_task(together.ask(1))]
    await asyncio.sleep(0.001)
    sent.append(asyncio.create_task(together.ask(2)))
    await asyncio.sleep(0.001)
    cut, stays = asyncio.create_task(together.ask(3)), asyncio.create_task(together.ask(4))
    await asyncio.sleep(0.001)
    cut.cancel()
    doubling.gate.set()
    assert await asyncio.gather(*sent, stays) == [2, 4, 8]
    with pytest.raises(asyncio.CancelledError):
        await cut
    assert doubling.parts == [[1], [2], [4]]


async def test_whoever_is_cut_off_alone_holds_up_nobody() -> None:
    doubling = Doubling()
    doubling.gate.clear()
    together = Together(doubling)
    alone = asyncio.create_task(together.ask(1))
    await asyncio.sleep(0.001)
    others = [asyncio.create_task(together.ask(n)) for n in (2, 3)]
    await asyncio.sleep(0.001)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    late = asyncio.create_task(together.ask(4))
    await asyncio.sleep(0.001)
    doubling.gate.set()
    assert await asyncio.gather(*others, late) == [4, 6, 8]
