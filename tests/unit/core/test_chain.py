"""Whatever is done to an exported audit trail is found: an edit, a deletion, a reordering, a cut, a forgery."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.chain import GENESIS, Event, Signer, clean, event_hash, new_signing_key, pieces, timestamp
from app.core.chain_export import header, verify_export
from app.core.ids import new_id

SIGNER = Signer(new_signing_key())
CLIENT = new_id()
START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def export(count: int, *, client: UUID = CLIENT, signer: Signer = SIGNER, mid: int | None = None) -> list[str]:
    """The lines of an export of ``count`` events, with a checkpoint after event ``mid`` as well."""
    events = list(_events(count, client))
    head = events[-1]["hash"] if events else GENESIS.hex()
    first = header(str(client), "northwind", count, head, timestamp(START))
    signed = {**first, "key_id": signer.key_id, "signature": _b64(signer.sign(first))}
    lines = [{"type": "header", **signed}]
    for event in events:
        lines.append({"type": "event", **event})
        if event["seq"] in (mid, count):
            point = signer.checkpoint(client, event["seq"], bytes.fromhex(event["hash"]), START)
            lines.append({"type": "checkpoint", **point.as_json()})
    if not events:
        lines.append({"type": "checkpoint", **signer.checkpoint(client, 0, GENESIS, START).as_json()})
    return [json.dumps(line, ensure_ascii=False) for line in lines]


def _events(count: int, client: UUID) -> Iterator[dict[str, Any]]:
    prev = GENESIS
    for seq in range(1, count + 1):
        at = START + timedelta(seconds=seq)
        event = Event(client, seq, at, None, "anna", "session", None, "x", f"t:{seq}", "success", {"é": 1})
        made = event_hash(event.as_json(), prev)
        yield {**event.as_json(), "prev_hash": prev.hex(), "hash": made.hex()}
        prev = made


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def change(line: str, **fields: Any) -> str:
    return json.dumps({**json.loads(line), **fields}, ensure_ascii=False)


def kinds(lines: list[str], **options: Any) -> set[str]:
    return {finding.kind for finding in verify_export(lines, **options).findings}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_an_untouched_export_is_whole(count: int) -> None:
    report = verify_export(export(count, mid=3), trusted=[SIGNER.key_id])
    assert report.ok, report.findings
    assert (report.events, report.client, report.key_trusted) == (count, "northwind", True)


def _rehash(lines: list[str]) -> list[str]:
    """What a forger does who edits event 3 and computes every later hash anew."""
    changed, prev = [lines[0]], GENESIS
    for line in lines[1:]:
        entry = json.loads(line)
        if entry["type"] == "event":
            entry["outcome"] = "failure" if entry["seq"] == 3 else entry["outcome"]
            body = {key: value for key, value in entry.items() if key not in ("type", "hash", "prev_hash")}
            entry["prev_hash"], prev = prev.hex(), event_hash(body, prev)
            entry["hash"] = prev.hex()
        changed.append(json.dumps(entry))
    return changed


TAMPERINGS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "an edited field": (lambda x: [*x[:3], change(x[3], outcome="failure"), *x[4:]], "edited"),
    "an added field": (lambda x: [*x[:3], change(x[3], note="hm"), *x[4:]], "edited"),
    "an edited hash": (lambda x: [*x[:3], change(x[3], hash="00" * 32), *x[4:]], "edited"),
    "a deleted event": (lambda x: x[:3] + x[4:], "missing"),
    "a deleted first event": (lambda x: x[:1] + x[2:], "missing"),
    "two events swapped": (lambda x: [*x[:3], x[4], x[3], *x[5:]], "reordered"),
    "an event repeated": (lambda x: [*x[:4], x[3], *x[4:]], "reordered"),
    "the end cut off": (lambda x: x[:-3], "truncated"),
    "cut at a checkpoint": (lambda x: x[:6], "truncated"),
    "the last events taken out": (lambda x: [*x[:-3], x[-1]], "length"),
    "the last checkpoint taken out": (lambda x: x[:-1], "no_checkpoint"),
    "a shorter header": (lambda x: [change(x[0], count=4), *x[1:]], "bad_signature"),
    "no header": (lambda x: x[1:], "no_header"),
    "every hash computed anew": (_rehash, "checkpoint_differs"),
    "a key that stands twice": (lambda x: [*x[:3], x[3][:-1] + ', "action": "y"}', *x[4:]], "not_json"),
    "a line of another client": (lambda x: [*x[:3], export(9, client=new_id())[3], *x[4:]], "other_client"),
    "two exports joined": (lambda x: x + x, "second_header"),
    "rubbish": (lambda x: [*x, "{"], "not_json"),
    "nothing": (lambda x: [], "empty"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(name: str) -> None:
    tamper, kind = TAMPERINGS[name]
    assert kind in kinds(tamper(export(9, mid=4)))


def test_a_forger_who_signs_with_another_key_is_found_by_whoever_knows_ours() -> None:
    forged = export(5, signer=Signer(new_signing_key()))
    assert verify_export(forged).ok
    assert verify_export(forged).key_trusted is None
    assert kinds(forged, trusted=[SIGNER.key_id]) == {"unknown_key"}


def test_an_older_export_shows_what_vanished_since_then_although_it_was_signed_anew() -> None:
    assert kinds(export(4), earlier=export(6)) == {"vanished"}
    assert kinds(export(9), earlier=export(6)) == set()
    rewritten = _rehash(export(9))
    assert "rewritten" in kinds(rewritten, earlier=export(6))


def test_details_are_plain_and_without_secrets() -> None:
    found = clean(
        {"password": "hunter2", "n": 2**60, "x": float("nan"), "t": "a\0b", "l": (1, {"token": "x"}), "u": CLIENT}
    )
    assert "hunter2" not in json.dumps(found)
    assert found == {
        "password": "[hidden]",
        "n": str(2**60),
        "x": "nan",
        "t": "a\ufffdb",
        "l": [1, {"token": "[hidden]"}],
        "u": str(CLIENT),
    }


def test_the_moment_is_written_the_same_whatever_its_zone() -> None:
    assert timestamp(START) == timestamp(START.astimezone(ZoneInfo("Europe/Paris"))) == "2026-11-22T09:00:00.000000Z"


def test_only_an_ed25519_key_signs() -> None:
    with pytest.raises((TypeError, ValueError)):
        Signer(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)


@given(
    seq=st.integers(1, 2**40),
    prev=st.binary(min_size=32, max_size=32),
    texts=st.tuples(st.text(), st.text(), st.text()),
    details=st.dictionaries(st.text(), _JSON, max_size=4),
)
def test_an_event_in_pieces_has_the_same_hash(seq: int, prev: bytes, texts: tuple[str, str, str], details: Any) -> None:
    """The database knows the number and the hash before; it hashes what the pieces and these two make together."""
    actor, action, target = map(_clean_text, texts)
    event = Event(CLIENT, seq, START, CLIENT, actor, "session", None, action, target, "success", clean(details))
    head, tail = pieces({**event.as_json(), "seq": 0})
    whole = f'{head}{seq}{tail}{prev.hex()}"}}'
    assert hashlib.sha256(whole.encode()).digest() == event_hash(event.as_json(), prev)


def _clean_text(text: str) -> str:
    return str(clean({"text": text})["text"])
