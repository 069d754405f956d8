"""A process that publishes and subscribes on a shared store, whatever happens to that, and writes down what it saw.

It is run with ``python -m tests.histories.participant`` and its ``Orders`` as JSON. It goes on until the file ``stop``
appears in its folder, finishes what it has begun, says ``quiet``, and reads on until the ends that the file ``heads``
names.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jammi_sql import Engine
from jammi_sql.brokers import JetStreamBroker
from jammi_sql.errors import Error
from jammi_sql.topics import Predicate, Subscription
from tests.jetstream_support import EAGER
from tests.topic_support import SCHEMA, TENANT_A, batch_of, definition, numbers

from .history import Content, History, Write

__all__ = ["ACCOUNTS", "BALANCE", "PLAIN", "SECOND", "TOPICS", "TRANSFERS", "Orders", "command", "content_of"]

PLAIN, SECOND, TRANSFERS = "events.changes", "events.second", "events.transfers"
TOPICS = (PLAIN, SECOND, TRANSFERS)
ACCOUNTS, BALANCE = 8, 100
_JUMPS = (-3600, -1, 0, 0, 1, 3600)  # seconds
_PATIENCE = 45.0  # seconds in which a subscription comes to the end, once all is well
_CALLS = 1_000_000  # at most so many of one lane


@dataclass(frozen=True, slots=True)
class Orders:
    """What a participant is told."""

    number: int  # no two have the same
    store: str
    broker: str  # "" for none
    folder: str
    pool_size: int
    pause: float  # seconds, at most, between two calls of one lane

    @property
    def name(self) -> str:
        """Its own, and its file's."""
        return f"p{self.number}"


class JumpingClock:
    """A clock that somebody sets now and then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._shift = 0

    def now_us(self) -> int:
        """As ``Clock.now_us``."""
        if self._chance.random() < 0.05:
            self._shift = self._chance.choice(_JUMPS) * 1_000_000
        return time.time_ns() // 1000 + self._shift


def content_of(batch: Any, tenant: str) -> Content:
    """What is compared of a batch."""
    (kind,) = set(batch.column("kind").to_pylist())
    return tuple(numbers(batch)), str(kind), tenant


class Participant:
    """The process."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.folder = Path(orders.folder)
        self.history = History(self.folder / f"{orders.name}.history")
        self.chance = random.Random(orders.number)
        self.failed = False
        self.topics = {name: definition(name) for name in TOPICS}
        self.engine = self._opened()

    def _opened(self) -> Engine:
        """The engine, however long the server is away."""
        while True:
            try:
                return Engine.open(
                    self.orders.store,
                    broker=JetStreamBroker(self.orders.broker, **EAGER) if self.orders.broker else None,
                    clock=JumpingClock(random.Random(-self.orders.number)),
                    pool_size=self.orders.pool_size,
                    retry_timeout=2.0,
                    lock_timeout=5.0,
                )
            except Error as error:
                self.history.add("unopened", state=error.sqlstate, message=error.message)
                time.sleep(0.1)

    # --- writing ---

    def _lane(self, lane: int, act: Callable[[int, random.Random], None]) -> None:
        chance = random.Random(f"{self.orders.number} {lane}")
        for number in range(_CALLS):
            if (self.folder / "stop").exists():
                return
            act((self.orders.number * 10 + lane) * _CALLS + number, chance)
            time.sleep(chance.uniform(0, self.orders.pause))

    def _call(self, number: int, writes: list[Write], call: Callable[[], list[int] | None]) -> bool:
        name = f"call {number}"
        self.history.tries(name, writes)
        try:
            offsets = call()
        except Error as error:
            self.history.refused(name, error.sqlstate, f"{type(error).__name__}: {error.message}")
            return False
        self.history.acknowledged(name, offsets)
        return True

    def _publish(self, number: int, chance: random.Random) -> None:
        """Straight to a topic: of many threads at once, in one transaction for several topics."""
        topic, tenant, kind = chance.choice([PLAIN, SECOND]), chance.choice([None, None, TENANT_A]), chance.choice("AB")
        ids = [number] * chance.choice([1, 1, 3])
        write = Write(topic, (tuple(ids), kind, str(tenant or "")))
        batch = batch_of(ids, kind)
        publisher = self.engine.publisher
        self._call(number, [write], lambda: [publisher.publish_scoped(self.topics[topic], tenant, batch).value])

    def _insert(self, number: int, chance: random.Random) -> None:
        """By a statement, which the engine runs again where it may."""
        kind = chance.choice("AB")
        session = self.engine.session()

        def call() -> None:
            session.execute(f"INSERT INTO {PLAIN} VALUES ({number}, '{kind}', 1.5)")

        self._call(number, [Write(PLAIN, ((number,), kind, ""))], call)
        session.close()

    def _transact(self, number: int, writes: list[Write], statements: list[str]) -> None:
        session = self.engine.session()

        def call() -> None:
            session.execute("BEGIN")
            for statement in statements:
                session.execute(statement)
            session.execute("COMMIT")

        if not self._call(number, writes, call):
            session.rollback()  # nothing where the COMMIT failed
        session.close()

    def _transfer(self, number: int, chance: random.Random) -> None:
        """Between two rows of a table, told of in a topic; either may come first."""
        source, target = chance.sample(range(ACCOUNTS), 2)
        steps = [
            f"UPDATE accounts SET balance = balance - 1 WHERE id = {source}",
            f"UPDATE accounts SET balance = balance + 1 WHERE id = {target}",
            f"INSERT INTO {TRANSFERS} VALUES ({number}, '{source} {target}', 1)",
        ]
        if chance.random() < 0.3:
            steps.reverse()
        self._transact(number, [Write(TRANSFERS, ((number,), f"{source} {target}", ""))], steps)
        try:
            result = self.engine.session().execute("SELECT sum(balance) FROM accounts")
            self.history.add("sum", total=result.fetchone()[0])
        except Error as error:
            self.history.add("unread", state=error.sqlstate, message=error.message)

    def _pair(self, number: int, chance: random.Random) -> None:
        """Into two topics at once, in either order."""
        topics = [PLAIN, SECOND]
        chance.shuffle(topics)
        writes = [Write(topic, ((number,), "A", "")) for topic in topics]
        self._transact(number, writes, [f"INSERT INTO {topic} VALUES ({number}, 'A', 1.5)" for topic in topics])

    # --- reading ---

    def _read(self, name: str, topic: str, start: int | None, kind: str | None, tenant: str) -> None:
        subscription = self._subscribed(topic, start, kind, tenant)
        self.history.subscribed(name, topic, start, kind, tenant)
        deadline = None
        while True:
            heads = self._heads()
            if heads is not None:
                deadline = deadline or time.monotonic() + _PATIENCE
                if subscription.position >= heads[topic]:
                    self.history.add("finished", reader=name)
                    return subscription.close()
                if time.monotonic() > deadline:
                    return self.history.add("stuck", reader=name, position=subscription.position, head=heads[topic])
            try:
                delivered = subscription.next(timeout=0.2)
            except TimeoutError:
                continue
            except Error as error:
                self.history.add("unread", reader=name, state=error.sqlstate, message=error.message)
                time.sleep(0.05)
                continue
            owner = "" if delivered.tenant is None else str(delivered.tenant)
            self.history.received(name, delivered.offset.value, content_of(delivered.batch, owner))

    def _subscribed(self, topic: str, start: int | None, kind: str | None, tenant: str) -> Subscription:
        predicate = None if kind is None else Predicate.from_sql(SCHEMA, f"kind = '{kind}'")
        while True:
            try:
                return self.engine.subscriber.subscribe_scoped(self.topics[topic], tenant or None, predicate, start)
            except Error as error:
                self.history.add("unread", topic=topic, state=error.sqlstate, message=error.message)
                time.sleep(0.05)

    def _heads(self) -> dict[str, int] | None:
        try:
            heads: dict[str, int] = json.loads((self.folder / "heads").read_text())
        except FileNotFoundError:
            return None
        return heads

    # --- all of it ---

    def run(self) -> int:
        """Its exit status."""
        readers = [
            self._thread(self._read, "all", PLAIN, 0, None, str(TENANT_A)),
            self._thread(self._read, "new", PLAIN, None, None, str(TENANT_A)),
            self._thread(self._read, "some", PLAIN, 0, "B", ""),
            self._thread(self._read, "second", SECOND, 0, None, str(TENANT_A)),
            self._thread(self._read, "transfers", TRANSFERS, 0, None, ""),
        ]
        acts = (self._publish, self._publish, self._publish, self._insert, self._transfer, self._pair)
        writers = [self._thread(self._lane, lane, act) for lane, act in enumerate(acts)]
        for thread in writers:
            thread.join()
        self.history.add("quiet")
        for thread in readers:
            thread.join()
        self.engine.close()
        deadline = time.monotonic() + _PATIENCE
        while (left := _threads()) and time.monotonic() < deadline:
            time.sleep(0.01)
        if left:
            self.history.add("leak", threads=left)
        self.history.add("end")
        return int(self.failed)

    def _thread(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                work(*arguments)
            except BaseException:  # whatever is no error of the package's is a defect
                self.failed = True
                self.history.add("crash", trace=traceback.format_exc())

        thread = threading.Thread(target=run, name=f"{work.__name__} {arguments[0]}", daemon=True)
        thread.start()
        return thread


def _threads() -> list[str]:
    """The threads of an engine: another is the process's."""
    names = {one.name for one in threading.enumerate() if one.name.startswith("jammi-")}
    return sorted(names - {"jammi-finalizing"})


def command(orders: Orders) -> list[str]:
    """How to start one."""
    return [sys.executable, "-m", "tests.histories.participant", json.dumps(asdict(orders))]


def _end_with(parent: int) -> None:
    """Should the tests be killed, nobody would ever end this process."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sys.exit(Participant(Orders(**json.loads(sys.argv[1]))).run())
