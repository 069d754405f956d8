"""The judge of histories is judged: it must find each defect that a history or a log can show, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.histories.history import Event
from tests.histories.verdict import Stored, problems

T, U, TENANT = "events.changes", "events.second", "somebody"

Histories = dict[str, list[Event]]
Log = dict[str, list[Stored]]


def stored(*contents: tuple[int, str, str]) -> list[Stored]:
    return [Stored(offset, ((number,), kind, tenant)) for offset, (number, kind, tenant) in enumerate(contents)]


def happened(*events: tuple[str, dict[str, Any]], start: int = 0, step: int = 10) -> list[Event]:
    return [{"what": what, "at": start + step * place, **more} for place, (what, more) in enumerate(events)]


def tries(call: str, *writes: tuple[str, int, str, str]) -> tuple[str, dict[str, Any]]:
    return "try", {"call": call, "writes": [[topic, [number], kind, tenant] for topic, number, kind, tenant in writes]}


def ok(call: str, *offsets: int) -> tuple[str, dict[str, Any]]:
    return "ok", {"call": call, "offsets": list(offsets) or None}


def no(call: str, state: str) -> tuple[str, dict[str, Any]]:
    return "no", {"call": call, "state": state, "message": ""}


def opened(reader: str, start: int | None, kind: str | None = None, tenant: str = TENANT) -> tuple[str, dict[str, Any]]:
    return "open", {"reader": reader, "topic": T, "start": start, "kind": kind, "tenant": tenant}


def got(reader: str, offset: int, number: int, kind: str = "A", tenant: str = "") -> tuple[str, dict[str, Any]]:
    return "got", {"reader": reader, "offset": offset, "content": [[number], kind, tenant]}


def finished(reader: str) -> tuple[str, dict[str, Any]]:
    return "finished", {"reader": reader}


def sound() -> tuple[Histories, Log]:
    """All that may happen: acknowledged, unknown (there, and not), refused, killed, in two topics, by others."""
    log = {
        T: stored((1, "A", ""), (2, "B", TENANT), (5, "A", ""), (11, "A", "another"), (6, "A", ""), (12, "A", "")),
        U: stored((6, "A", "")),
    }
    histories = {
        "p1": happened(
            opened("new", None), tries("1", (T, 1, "A", "")), ok("1", 0), tries("2", (T, 2, "B", TENANT)), ok("2", 1),
            tries("3", (T, 3, "A", "")), no("3", "08006"), tries("4", (T, 4, "A", "")), no("4", "08007"),
            tries("5", (T, 5, "A", "")), no("5", "08007"), tries("6", (T, 6, "A", ""), (U, 6, "A", "")), ok("6"),
            ("sum", {"total": 800}),
            got("new", 0, 1), got("new", 1, 2, "B", TENANT), got("new", 2, 5), got("new", 4, 6), got("new", 5, 12),
            finished("new"),
        ),
        "p2": happened(
            tries("11", (T, 11, "A", "another")), ok("11", 3), opened("all", 0), got("all", 0, 1),
            got("all", 1, 2, "B", TENANT), got("all", 2, 5), tries("12", (T, 12, "A", "")), start=75,
        ),
        "p3": happened(
            opened("some", 0, "B", TENANT), got("some", 1, 2, "B", TENANT), finished("some"), ("sum", {"total": 800}),
            opened("late", None, None, ""), got("late", 2, 5), got("late", 4, 6), got("late", 5, 12), finished("late"),
            opened("global", 0, None, ""), got("global", 0, 1), got("global", 2, 5), start=300,
        ),
    }  # fmt: skip
    return histories, log


def test_a_sound_history_is_found_sound() -> None:
    assert problems(*sound()) == []


def find(events: list[Event], what: str, **more: object) -> Event:
    return next(e for e in events if e["what"] == what and all(e.get(key) == value for key, value in more.items()))


Doctor = Callable[[Histories, Log], None]


def lose_an_acknowledged(histories: Histories, log: Log) -> None:
    find(histories["p1"], "no", call="4").update(what="ok", offsets=None)


def move_an_acknowledged(histories: Histories, log: Log) -> None:
    find(histories["p2"], "ok")["offsets"] = [4]


def change_a_content(histories: Histories, log: Log) -> None:
    log[T][0] = Stored(0, ((1,), "A", "another"))


def write_one_twice(histories: Histories, log: Log) -> None:
    log[T].append(Stored(6, ((6,), "A", "")))


def keep_a_refused(histories: Histories, log: Log) -> None:
    find(histories["p1"], "no", call="5")["state"] = "08006"


def keep_one_half(histories: Histories, log: Log) -> None:
    log[U].clear()


def keep_one_half_of_an_unknown(histories: Histories, log: Log) -> None:
    find(histories["p1"], "ok", call="6").update(what="no", state="08007")
    log[U].clear()


def invent(histories: Histories, log: Log) -> None:
    log[U].append(Stored(1, ((99,), "A", "")))


def leave_a_gap(histories: Histories, log: Log) -> None:
    log[U][0] = Stored(1, log[U][0].content)


def turn_time_back(histories: Histories, log: Log) -> None:
    find(histories["p1"], "try", call="1")["at"] = 1000  # after others were acknowledged what comes behind it
    find(histories["p1"], "ok", call="1")["at"] = 1001
    histories["p1"].sort(key=lambda event: event["at"])


def skip_one(histories: Histories, log: Log) -> None:
    histories["p1"].remove(find(histories["p1"], "got", offset=2))


def skip_one_of_a_kind(histories: Histories, log: Log) -> None:
    histories["p3"].remove(find(histories["p3"], "got", reader="some"))


def skip_one_in_a_process_that_was_killed(histories: Histories, log: Log) -> None:
    histories["p2"].remove(find(histories["p2"], "got", offset=1))


def repeat_one(histories: Histories, log: Log) -> None:
    events = histories["p1"]
    again = find(events, "got", offset=1)
    events.insert(events.index(again) + 1, copy.copy(again))


def swap_two(histories: Histories, log: Log) -> None:
    one, other = (find(histories["p1"], "got", offset=offset) for offset in (1, 2))
    one["offset"], other["offset"] = 2, 1


def tell_another_content(histories: Histories, log: Log) -> None:
    find(histories["p2"], "got", offset=2)["content"] = [[6], "A", ""]


def give_what_is_another_tenant_s(histories: Histories, log: Log) -> None:
    events = histories["p1"]
    events.insert(
        events.index(find(events, "got", offset=4)), {**got("new", 3, 11, "A", "another")[1], "what": "got", "at": 150}
    )


def end_too_early(histories: Histories, log: Log) -> None:
    histories["p1"].remove(find(histories["p1"], "got", offset=5))


def begin_too_late(histories: Histories, log: Log) -> None:
    histories["p1"].remove(find(histories["p1"], "got", offset=0))


def get_nothing_at_all(histories: Histories, log: Log) -> None:
    histories["p1"][:] = [event for event in histories["p1"] if event["what"] != "got"]


def see_half_a_transfer(histories: Histories, log: Log) -> None:
    find(histories["p3"], "sum")["total"] = 799


def block(histories: Histories, log: Log) -> None:
    histories["p2"].append({"what": "stuck", "at": 1000, "reader": "all", "position": 3, "head": 6})


def crash(histories: Histories, log: Log) -> None:
    histories["p2"].append({"what": "crash", "at": 1000, "trace": "AttributeError"})


def refuse_for_no_reason(histories: Histories, log: Log) -> None:
    find(histories["p1"], "no", call="3")["state"] = "23505"


def fail_to_read_for_no_reason(histories: Histories, log: Log) -> None:
    histories["p2"].append({"what": "unread", "at": 1000, "state": "XX001", "message": "damaged"})


@pytest.mark.parametrize(
    "doctor",
    [
        lose_an_acknowledged, move_an_acknowledged, change_a_content, write_one_twice, keep_a_refused, keep_one_half,
        keep_one_half_of_an_unknown, invent, leave_a_gap, turn_time_back, skip_one, skip_one_of_a_kind,
        skip_one_in_a_process_that_was_killed, repeat_one, swap_two, tell_another_content,
        give_what_is_another_tenant_s, end_too_early, begin_too_late, get_nothing_at_all, see_half_a_transfer, block,
        crash, refuse_for_no_reason, fail_to_read_for_no_reason,
    ],
)  # fmt: skip
def test_a_doctored_history_is_rejected(doctor: Doctor) -> None:
    histories, log = sound()
    doctor(histories, log)
    assert problems(histories, log)
