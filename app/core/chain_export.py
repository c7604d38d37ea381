"""Checks an exported audit trail: one JSON object a line, without a server.

The first line is a signed header that says how many events follow. Each event carries the hash of the one before and
its own. Checkpoints stand after the event that they speak of, and the last line is one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.chain import FORMAT, GENESIS, event_hash, signature_holds, statement

_MOST_FINDINGS = 100
_CHECKPOINT_BODY = ("client_id", "seq", "hash", "at")
_HEADER_BODY = ("kind", "client_id", "client", "count", "head", "exported_at")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: ``kind`` is stable, ``line`` counts from 1, ``seq`` is the event's number if known."""

    kind: str
    message: str
    line: int | None = None
    seq: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if value is not None}


@dataclass(frozen=True)
class Report:
    """What verification found. ``key_trusted`` is None where the reader named no key to compare with."""

    client: str
    events: int
    checkpoints: int
    head: str
    key_id: str
    key_trusted: bool | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "client": self.client,
            "events": self.events,
            "checkpoints": self.checkpoints,
            "head": self.head,
            "key_id": self.key_id,
            "key_trusted": self.key_trusted,
            "findings": [finding.as_json() for finding in self.findings],
        }


def verify_export(lines: Iterable[str], *, trusted: Collection[str] = (), earlier: Iterable[str] = ()) -> Report:
    """Check every line of an export.

    ``trusted`` are the names (``key_id``) of the keys that the reader knows from elsewhere; without one, a forger's own
    key cannot be told from ours. ``earlier`` are the lines of an older export of the same client: events that have
    vanished or changed since then are found, even where the whole database was rewritten with the real key at hand.
    """
    check = _Check(frozenset(trusted), dict(_checkpoints_of(earlier)))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            check.line(number, line)
    return check.report()


def _checkpoints_of(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    """What an older export claims: the hash at each of its signed checkpoints."""
    for line in lines:
        try:
            entry = parse_line(line)
        except ValueError:
            continue
        if entry.get("type") == "checkpoint" and _signed(entry, _CHECKPOINT_BODY):
            yield int(entry["seq"]), str(entry["hash"])


def parse_line(line: str) -> dict[str, Any]:
    """One line as an object. Raises ValueError; a key that stands twice is refused, since readers differ about it."""
    found = json.loads(line, object_pairs_hook=_once, parse_constant=_refuse)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the caller treats every malformed line alike
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _signed(entry: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    try:
        body = statement({name: entry[name] for name in names})
        return signature_holds(str(entry["key_id"]), body, base64.b64decode(str(entry["signature"]), validate=True))
    except (KeyError, ValueError):
        return False


@dataclass
class _Check:
    """Walks the lines once, keeping only the last event."""

    trusted: frozenset[str]
    earlier: dict[int, str]
    header: dict[str, Any] | None = None
    seq: int = 0
    head: str = GENESIS.hex()
    checkpoint_seq: int = -1
    checkpoints: int = 0
    keys: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    last_line: int = 0

    def line(self, number: int, text: str) -> None:
        self.last_line = number
        try:
            entry = parse_line(text)
        except ValueError as error:
            return self._find("not_json", f"This line is not a JSON object: {error}.", number)
        kind = entry.pop("type", None)
        if self.header is None and kind != "header":
            self._find("no_header", "The first line is not the export's header.", number)
            self.header = {}
        handler = {"header": self._header, "event": self._event, "checkpoint": self._checkpoint}.get(str(kind))
        if handler is None:
            return self._find("unknown_line", "This line is neither header, event nor checkpoint.", number)
        return handler(entry, number)

    def _header(self, entry: dict[str, Any], number: int) -> None:
        if self.header is not None:
            return self._find("second_header", "There is a second header; exports were joined.", number)
        self.header = entry
        if entry.get("kind") != FORMAT:
            self._find("unknown_format", "This is not an audit export that this version knows.", number)
        self._signature(entry, _HEADER_BODY, number, None)
        return None

    def _event(self, entry: dict[str, Any], number: int) -> None:
        seq = entry.get("seq")
        if not isinstance(seq, int) or isinstance(seq, bool):
            return self._find("not_an_event", "The event has no number.", number)
        self._order(seq, number)
        claimed, prev = str(entry.pop("hash", "")), str(entry.pop("prev_hash", ""))
        if prev != self.head and seq == self.seq + 1:
            self._find("broken_link", "The event does not follow the one before it.", number, seq)
        if entry.get("client_id") != (self.header or {}).get("client_id"):
            self._find("other_client", "The event belongs to another client than the header says.", number, seq)
        if claimed != _hash_of(entry, prev):
            self._find("edited", "The event was changed after it was written.", number, seq)
        self._compare_with_earlier(seq, claimed, number)
        self.seq, self.head = seq, claimed
        return None

    def _order(self, seq: int, number: int) -> None:
        expected = self.seq + 1
        if seq > expected:
            missing = str(expected) if seq == expected + 1 else f"{expected} to {seq - 1}"
            self._find("missing", f"Before this event, {missing} is missing.", number, seq)
        elif seq < expected:
            self._find("reordered", f"Event {expected} was expected here.", number, seq)

    def _checkpoint(self, entry: dict[str, Any], number: int) -> None:
        seq, stated = entry.get("seq"), str(entry.get("hash"))
        if entry.get("client_id") != (self.header or {}).get("client_id"):
            self._find("other_client", "The checkpoint belongs to another client.", number)
        if self._signature(entry, _CHECKPOINT_BODY, number, seq if isinstance(seq, int) else None):
            self.checkpoints += 1
        if seq != self.seq:
            self._find("length", f"The checkpoint speaks of {seq} events; here are {self.seq}.", number, self.seq)
        elif stated != self.head:
            self._find("checkpoint_differs", "The chain is not the one that was signed here.", number, self.seq)
        self.checkpoint_seq = self.seq

    def _signature(self, entry: Mapping[str, Any], names: tuple[str, ...], number: int, seq: int | None) -> bool:
        name = str(entry.get("key_id"))
        self.keys.add(name)
        if not _signed(entry, names):
            self._find("bad_signature", "The signature does not hold.", number, seq)
            return False
        if self.trusted and name not in self.trusted:
            self._find("unknown_key", f"It is signed with {name}, which is not a key you trust.", number, seq)
        return True

    def _compare_with_earlier(self, seq: int, claimed: str, number: int) -> None:
        known = self.earlier.pop(seq, None)
        if known is not None and known != claimed:
            self._find("rewritten", "An earlier export has another event here.", number, seq)

    def _find(self, kind: str, message: str, line: int | None = None, seq: int | None = None) -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(kind, message, line, seq))

    def report(self) -> Report:
        header = self.header or {}
        if self.header is None:
            self._find("empty", "There is nothing in this file.")
        elif header.get("count") != self.seq or header.get("head") != self.head:
            self._find(
                "truncated", f"The header speaks of {header.get('count')} events; the last one here is {self.seq}."
            )
        if self.header is not None and self.checkpoint_seq != self.seq:
            self._find("no_checkpoint", "No signed checkpoint stands at the end.", self.last_line, self.seq)
        for seq in sorted(seq for seq in self.earlier if seq > 0):
            self._find("vanished", f"An earlier export goes on to event {seq}; this one does not have it.", seq=seq)
        return Report(
            client=str(header.get("client", "")),
            events=self.seq,
            checkpoints=self.checkpoints,
            head=self.head,
            key_id=str(header.get("key_id", "")),
            key_trusted=self.keys <= self.trusted if self.trusted else None,
            findings=tuple(self.findings),
        )


def _hash_of(body: Mapping[str, Any], prev: str) -> str:
    try:
        return event_hash(body, bytes.fromhex(prev)).hex()
    except ValueError:  # a number that canonical JSON cannot hold, or a hash that is not hexadecimal
        return ""


def header(client_id: str, client: str, count: int, head: str, exported_at: str) -> dict[str, Any]:
    """The first line of an export, before it is signed."""
    return {
        "kind": FORMAT,
        "client_id": client_id,
        "client": client,
        "count": count,
        "head": head,
        "exported_at": exported_at,
    }
