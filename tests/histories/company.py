"""Participants that share one store: started, killed, started again, and judged at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from jammi_sql import Engine
from jammi_sql.topics import DeliveredBatch
from tests.topic_support import TENANT_A, definition

from .history import Event, read
from .participant import ACCOUNTS, BALANCE, PLAIN, SECOND, TOPICS, TRANSFERS, Orders, command, content_of
from .verdict import Stored, problems

__all__ = ["Company"]

_ROOT = Path(__file__).parents[2]
_PATIENCE = 20.0  # seconds for each participant, in which all must go on: to start one takes some on a busy machine
_KILLED = -signal.SIGKILL


class _Member:
    """A running participant."""

    def __init__(self, orders: Orders, fault: str) -> None:
        self.orders = orders
        self.history = Path(orders.folder) / f"{orders.name}.history"
        self.said = Counter[str]()
        self._position = 0
        self._errors = (Path(orders.folder) / f"{orders.name}.errors").open("w+")
        self.process = subprocess.Popen(
            command(orders), cwd=_ROOT, stderr=self._errors, env={**os.environ, "JAMMI_FAULTS": fault}
        )

    def follow(self) -> Counter[str]:
        """How many events of each kind there are by now."""
        if self.history.exists():
            with self.history.open("rb") as file:
                file.seek(self._position)
                lines = file.read().rpartition(b"\n")[0]
            if lines:
                self._position += len(lines) + 1
                self.said.update(json.loads(line)["what"] for line in lines.split(b"\n"))
        return self.said

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-3000:]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._errors.close()


class Company:
    """``size`` participants with a store, which is ``store`` for them, and ``direct`` for who judges them.

    Those that are killed are replaced. ``faults`` are what to arm in the first ones, and then in those that replace
    killed ones: fault points, as ``JAMMI_FAULTS`` has them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: Callable[[int], str],
        direct: str,
        broker: str = "",
        size: int,
        pool_size: int = 2,
        pause: float = 0.02,
        faults: list[str] | None = None,
    ) -> None:
        self.folder = folder
        self.direct = direct
        self._store = store
        self._broker = broker
        self._pool_size = pool_size
        self._pause = pause
        self._faults = list(faults or [])
        self._patience = _PATIENCE * (size + 1)
        self._started = 0
        self.members: list[_Member] = []
        self.gone: list[_Member] = []
        with Engine.open(direct) as engine:
            for name in TOPICS:
                engine.topic_repo.register_topic(definition(name))
            session = engine.session()
            session.execute("CREATE TABLE accounts (id BIGINT, balance BIGINT, PRIMARY KEY (id))")
            session.execute(f"INSERT INTO accounts SELECT value, {BALANCE} FROM generate_series(0, {ACCOUNTS - 1})")
        for _ in range(size):
            self._start()

    def _start(self) -> None:
        self._started += 1
        orders = Orders(
            self._started, self._store(self._started), self._broker, str(self.folder), self._pool_size, self._pause
        )
        self.members.append(_Member(orders, self._faults.pop(0) if self._faults else ""))

    def replace(self) -> None:
        """Start another one for each that was killed."""
        for member in list(self.members):
            status = member.process.poll()
            if status is not None:
                assert status == _KILLED, f"{member.orders.name} ended with {status}: {member.errors()}"
                self.members.remove(member)
                self.gone.append(member)
                self._start()

    def kill_one(self, number: int) -> None:
        """Kill a participant, wherever it is."""
        self.members[number % len(self.members)].process.kill()

    def progress(self, count: int = 3) -> None:
        """Wait until every participant was acknowledged something anew, and received something."""
        before = {member: Counter(member.follow()) for member in self.members}

        def went_on() -> bool:
            self.replace()
            return all(
                member.follow()[what] >= before.get(member, Counter())[what] + count
                for member in self.members
                for what in ("ok", "got")
            )

        self._until(went_on, "everybody goes on")

    def _until(self, condition: Callable[[], object], what: str) -> None:
        deadline, started = time.monotonic() + self._patience, self._started
        while not condition():
            if started != self._started:  # somebody was replaced, and has to start first
                deadline, started = time.monotonic() + self._patience, self._started
            if time.monotonic() > deadline:
                said = {member.orders.name: dict(member.follow()) for member in self.members}
                raise AssertionError("\n".join([f"did not happen: {what}: {said}", *self._complaints()]))
            time.sleep(0.02)

    def _complaints(self) -> list[str]:
        """What can be said of those who do not come to an end."""
        for member in self.members:  # so that nothing is written any more
            member.process.kill()
            member.process.wait()
        found = [member.errors() for member in self.members]
        try:
            found += problems(self._histories(), self._log())[:20]
        except Exception as error:  # what is wrong with the log may be just that
            found.append(f"the log cannot be read: {error}")
        return found

    def _histories(self) -> dict[str, list[Event]]:
        everybody = [*self.gone, *self.members]
        return {member.orders.name: list(read(member.history)) for member in everybody if member.history.exists()}

    def judge(self) -> Counter[str]:
        """Let everybody come to an end, and see that all is right. Returns how many events there were of each kind."""
        (self.folder / "stop").touch()
        self._until(self._ended("quiet"), "everybody ends its last call")
        log = self._log()
        draft = self.folder / "heads.new"
        draft.write_text(json.dumps({topic: len(entries) for topic, entries in log.items()}))
        draft.rename(self.folder / "heads")
        self._until(self._ended(""), "everybody ends")
        statuses = {member.orders.name: member.process.wait() for member in self.members}
        histories = self._histories()
        found = problems(histories, log)
        found += self._about_accounts(log)
        found += [f"{name} ended with {status}" for name, status in statuses.items() if status not in (0, _KILLED)]
        assert not found, "\n".join(found[:20])
        assert {topic: len(entries) for topic, entries in self._log().items()} == {
            topic: len(entries) for topic, entries in log.items()
        }
        outcomes = Counter[str]()
        for history in histories.values():
            outcomes.update(event["what"] + event.get("state", "") for event in history)
        return outcomes

    def _ended(self, what: str) -> Callable[[], bool]:
        """Whether all are, or have said ``what``."""
        return lambda: all(
            member.process.poll() is not None or (what and member.follow()[what]) for member in self.members
        )

    def _log(self) -> dict[str, list[Stored]]:
        with Engine.open(self.direct) as engine:
            return {
                name: [
                    _stored(one) for one in engine.subscriber.replay_only_scoped(definition(name), TENANT_A, None, 0)
                ]
                for name in (PLAIN, SECOND, TRANSFERS)
            }

    def _about_accounts(self, log: dict[str, list[Stored]]) -> list[str]:
        """The table is what the topic that is written together with it says."""
        balances = dict.fromkeys(range(ACCOUNTS), BALANCE)
        for entry in log[TRANSFERS]:
            source, target = map(int, entry.content[1].split())
            balances[source] -= 1
            balances[target] += 1
        with Engine.open(self.direct) as engine:
            rows = engine.session().execute("SELECT id, balance FROM accounts").fetchall()
        there = dict(map(tuple, rows))
        return [] if there == balances else [f"the accounts are {there}, and the topic says {balances}"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in [*self.members, *self.gone]:
            member.end()


def _stored(delivered: DeliveredBatch) -> Stored:
    tenant = "" if delivered.tenant is None else str(delivered.tenant)
    return Stored(delivered.offset.value, content_of(delivered.batch, tenant))
