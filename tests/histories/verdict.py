"""What must hold of the histories of all processes and the log that they left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .history import Content, Event, Write

__all__ = ["UNKNOWN", "Stored", "problems"]

UNKNOWN = "08007"
"""The SQLSTATE of a call that may have been committed or not."""
_EXPECTED = frozenset({"08001", "08006", UNKNOWN, "40001", "40P01", "53300", "55P03"})
"""Of what may be raised while connections fail and others write."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One batch of a topic's log."""

    offset: int
    content: Content


@dataclass(slots=True)
class _Call:
    writes: list[Write]
    least: dict[str, int]  # by topic: all offsets that were acknowledged to anybody before the call are below that
    watched: list[_Reader]  # the subscriptions that were open in its process before it began
    offsets: list[int] | None = None
    outcome: str = "unknown"  # of a process that was killed


@dataclass(slots=True)
class _Reader:
    topic: str
    start: int | None
    kind: str | None
    tenant: str
    got: list[tuple[int, Content]] = field(default_factory=list)
    finished: bool = False
    bound: int | None = None  # of one that reads what is new: an offset acknowledged in its process after it was open


def problems(histories: Mapping[str, Iterable[Event]], log: Mapping[str, Sequence[Stored]]) -> list[str]:
    """Everything that is wrong, in words; nothing if all is well. ``histories`` by process, ``log`` by topic.

    * acknowledged is durable: in the log, with the same offset and content, and once;
    * refused is not there, unless with 08007; a call that writes several batches writes all of them or none;
    * nothing is in the log that nobody published, and its offsets are contiguous from 0;
    * a call that began after another one was acknowledged, to whomever, has the greater offset;
    * each subscriber got what the log has for it, in its order, once each, without a gap, and to the end if it finished;
    * nobody gets an error but of what was done to him, and nobody is stuck;
    * every sum over a table that is changed together with a topic was the same.
    """
    found: list[str] = []
    calls, readers = _gather(histories, found)
    found += _about_log(log)
    found += _about_calls(calls, log)
    for name, reader in readers.items():
        found += _about_reader(name, reader, log[reader.topic])
    return found


def _gather(histories: Mapping[str, Iterable[Event]], found: list[str]) -> tuple[dict[str, _Call], dict[str, _Reader]]:
    calls: dict[str, _Call] = {}
    readers: dict[str, _Reader] = {}
    sums: Counter[int] = Counter()
    least: dict[str, int] = {}
    owners: dict[str, list[_Reader]] = {}
    events = [(event["at"], name, event) for name, history in histories.items() for event in history]
    events.sort(key=lambda event: event[0])  # stable: within a process the order of its file stays
    for _, process, event in events:
        if event.get("state", UNKNOWN) not in _EXPECTED:
            found.append(f"{process}: an error that nothing here explains: {event}")
        match event["what"]:
            case "try":
                writes = [Write(topic, _content(rest)) for topic, *rest in event["writes"]]
                if event["call"] in calls:
                    found.append(f"{event['call']} was called twice: the test is wrong")
                calls[event["call"]] = _Call(writes, dict(least), list(owners.get(process, ())))
            case "ok":
                call = calls[event["call"]]
                call.outcome, call.offsets = "acknowledged", event["offsets"]
                for write, offset in zip(call.writes, call.offsets or (), strict=False):
                    least[write.topic] = max(least.get(write.topic, 0), offset + 1)
                    if offset < call.least.get(write.topic, 0):
                        found.append(
                            f"{event['call']} got offset {offset} of {write.topic}, below those acknowledged before it"
                        )
                    for reader in call.watched:
                        if reader.topic == write.topic and _is_for(write.content, reader):
                            reader.bound = offset if reader.bound is None else min(reader.bound, offset)
            case "no":
                calls[event["call"]].outcome = "unknown" if event["state"] == UNKNOWN else "refused"
            case "open":
                reader = _Reader(event["topic"], event["start"], event["kind"], event["tenant"])
                readers[f"{process} {event['reader']}"] = reader
                owners.setdefault(process, []).append(reader)
            case "got":
                readers[f"{process} {event['reader']}"].got.append((event["offset"], _content(event["content"])))
            case "finished":
                readers[f"{process} {event['reader']}"].finished = True
            case "sum":
                sums[event["total"]] += 1
            case "stuck" | "crash" | "leak":
                found.append(f"{process}: {event}")
    if len(sums) > 1:
        found.append(f"sums over a table that only moves between its rows: {dict(sums)}")
    return calls, readers


def _content(value: Sequence[object]) -> Content:
    ids, kind, tenant = value
    assert isinstance(ids, list | tuple)
    return tuple(int(number) for number in ids), str(kind), str(tenant)


def _about_log(log: Mapping[str, Sequence[Stored]]) -> Iterable[str]:
    for topic, entries in log.items():
        offsets = [entry.offset for entry in entries]
        if offsets != list(range(len(offsets))):
            yield f"the offsets of {topic} are not contiguous from 0: {_first_odd(offsets)}"


def _first_odd(offsets: Sequence[int]) -> str:
    place = next(index for index, offset in enumerate(offsets) if index != offset)
    return f"{offsets[place]} where {place} should be"


def _about_calls(calls: Mapping[str, _Call], log: Mapping[str, Sequence[Stored]]) -> Iterable[str]:
    places: dict[Write, list[int]] = {}
    for topic, entries in log.items():
        for entry in entries:
            places.setdefault(Write(topic, entry.content), []).append(entry.offset)
    for name, call in calls.items():
        there = [places.pop(write, []) for write in call.writes]
        for write, at in zip(call.writes, there, strict=True):
            if len(at) > 1:
                yield f"{name} is in {write.topic} more than once, at {at}"
        if call.outcome == "acknowledged":
            for number, (write, at) in enumerate(zip(call.writes, there, strict=True)):
                if not at:
                    yield f"{name} was acknowledged and is not in {write.topic}"
                elif call.offsets is not None and call.offsets[number] not in at:
                    yield f"{name} was acknowledged at {call.offsets[number]} of {write.topic} and is at {at}"
        elif call.outcome == "refused":
            for write, at in zip(call.writes, there, strict=True):
                if at:
                    yield f"{name} was refused and is in {write.topic} at {at}"
        elif len({bool(at) for at in there}) > 1:
            yield f"{name} is there in part: {there}"
    for write, at in places.items():
        yield f"nobody published what is in {write.topic} at {at}: {write.content}"


def _is_for(content: Content, reader: _Reader) -> bool:
    _, kind, tenant = content
    return tenant in ("", reader.tenant) and reader.kind in (None, kind)


def _about_reader(name: str, reader: _Reader, log: Sequence[Stored]) -> Iterable[str]:
    wanted = [(entry.offset, entry.content) for entry in log if _is_for(entry.content, reader)]
    offsets = [offset for offset, _ in reader.got]
    if offsets != sorted(set(offsets)):
        yield f"{name}: offsets of {reader.topic} came twice or out of order: {_first_fall(offsets)}"
    start = reader.start
    if start is None:
        start = offsets[0] if offsets else len(log)
        if reader.bound is not None and start > reader.bound and (offsets or reader.finished):
            yield f"{name}: {reader.topic} began with {start}, and {reader.bound} was new to it"
            return
    wanted = [one for one in wanted if one[0] >= start]
    if not reader.finished:
        wanted = wanted[: len(reader.got)]
    if reader.got != wanted:
        place = next(
            (index for index, pair in enumerate(zip(reader.got, wanted, strict=False)) if pair[0] != pair[1]),
            min(len(reader.got), len(wanted)),
        )
        yield (
            f"{name}: of {reader.topic} it got {reader.got[place : place + 2]} as number {place} of {len(reader.got)}, "
            f"the log has {wanted[place : place + 2]} of {len(wanted)}"
        )


def _first_fall(offsets: Sequence[int]) -> str:
    place = next(index for index in range(1, len(offsets)) if offsets[index] <= offsets[index - 1])
    return f"{offsets[place]} after {offsets[place - 1]}"
