"""Processes publish and subscribe on one PostgreSQL store while everything around them breaks; then their histories are
judged. See ``tests.histories.verdict.problems`` for what must hold.

No test depends on a time: after each fault the processes must go on, and the next one comes when they did.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from nats.js.errors import NotFoundError

from jammi_sql import Engine
from tests.histories.company import Company
from tests.histories.participant import TOPICS
from tests.jetstream_support import ask, stream_of
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy

_SCHEMAS = count(1)

KILLS = [
    "store.after_commit=kill@25",
    "store.before_commit=kill@40",
    "publish.before_hand_over=kill@30",
    "publish.after_insert=kill@20",
]


class Trouble:
    """What may happen to a company: each fault is over when its call returns."""

    def __init__(self, company: Company, postgres: PostgresServer, ways: list[Proxy], chance: random.Random) -> None:
        self.company = company
        self.postgres = postgres
        self.ways = ways
        self.chance = chance

    def _pause(self, least: float = 0.0) -> None:
        time.sleep(self.chance.uniform(least, least + 0.3))

    def drop(self) -> None:
        """Connections end in the middle of anything."""
        for _ in range(5):
            self.chance.choice(self.ways).drop()
            time.sleep(self.chance.uniform(0.01, 0.1))

    def cut(self) -> None:
        """There is no way to the server for a while."""
        way = self.chance.choice(self.ways)
        way.cut()
        self._pause(0.2)
        way.heal()

    def delay(self) -> None:
        """All is slow, and connections end with answers on the way: also with those of commits."""
        for way in [*self.ways] * 4:
            way.delay(0.05)
            self._pause()
            way.drop()
            way.heal()

    def silence(self) -> None:
        """What is said is lost, and nobody knows."""
        way = self.chance.choice(self.ways)
        way.blackhole()
        self._pause(0.2)
        way.heal()

    def end_sessions(self) -> None:
        """An administrator ends the server's sessions one by one."""
        for _ in range(5):
            self.postgres.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'jammi-sql' AND random() < 0.5"
            )

    def kill_server(self) -> None:
        """The server dies and comes back."""
        self.postgres.kill()
        self._pause()
        self.postgres.start()

    def kill_participant(self) -> None:
        """A process dies, wherever it is."""
        self.company.kill_one(self.chance.randrange(100))

    def all(self) -> list[Callable[[], None]]:
        """Each of them."""
        return [*self.short(), self.kill_participant]

    def short(self) -> list[Callable[[], None]]:
        """Those of a short run."""
        return [self.drop, self.cut, self.delay, self.silence, self.end_sessions, self.kill_server]


class BrokerTrouble(Trouble):
    """And what may happen to a NATS server."""

    def __init__(
        self, company: Company, postgres: PostgresServer, ways: list[Proxy], chance: random.Random,
        nats: NatsServer, way: Proxy,
    ) -> None:  # fmt: skip
        super().__init__(company, postgres, ways, chance)
        self.nats = nats
        self.way = way
        with Engine.open(company.direct) as engine:
            found = [engine.topic_repo.lookup_by_name(topic) for topic in TOPICS]
        self.streams = [stream_of(topic) for topic in found if topic is not None]

    def kill_broker(self) -> None:
        """It dies and comes back with what it had on disk."""
        self.nats.kill()
        self._pause()
        self.nats.start()

    def purge(self) -> None:
        """Its messages are gone."""
        self._ask("purge_stream")

    def delete_streams(self) -> None:
        """Its streams are gone."""
        self._ask("delete_stream")

    def _ask(self, call: str) -> None:
        async def work(js: object) -> None:
            for stream in self.streams:
                try:
                    await getattr(js, call)(stream)
                except NotFoundError:
                    pass  # not made (anew) yet

        ask(self.nats.url, work)

    def drop_broker(self) -> None:
        """Its connections end."""
        for _ in range(3):
            self.way.drop()
            time.sleep(self.chance.uniform(0.01, 0.1))

    def silence_broker(self) -> None:
        """It says nothing for a while."""
        self.way.blackhole()
        self._pause(0.3)
        self.way.heal()

    def all(self) -> list[Callable[[], None]]:
        """Each of them."""
        return [*super().all(), *self.short()]

    def short(self) -> list[Callable[[], None]]:
        """Those of a short run: the rest has one of its own."""
        return [
            self.kill_broker, self.purge, self.delete_streams, self.drop_broker, self.silence_broker, self.kill_server,
        ]  # fmt: skip


@pytest.fixture
def ways(postgres: PostgresServer) -> Iterator[list[Proxy]]:
    """Two ways to the server, so that one half of the processes may be troubled alone."""
    postgres.start()
    with Proxy(("127.0.0.1", postgres.port)) as one, Proxy(("127.0.0.1", postgres.port)) as other:
        yield [one, other]


def through(postgres: PostgresServer, ways: list[Proxy], schema: str) -> Callable[[int], str]:
    """The store of each participant, by way of a proxy. Deadlocks are found soon, so that there is time for many."""
    options = f"?schema={schema}&options=-c%20deadlock_timeout%3D50"

    def url(number: int) -> str:
        return postgres.url().replace(f":{postgres.port}/", f":{ways[number % len(ways)].port}/") + options

    return url


def schedule(trouble: Trouble, seconds: float) -> Iterator[Callable[[], None]]:
    """The faults of a short run, each once; or any of them, in any order, for so many seconds."""
    if not seconds:
        yield from trouble.short()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield trouble.chance.choice(trouble.all())


pytestmark = pytest.mark.timeout(
    300
)  # they end by themselves long before, but not on a machine that is busy with much else

SHORT_AND_LONG = pytest.mark.parametrize(
    ("size", "seconds"), [(3, 0), pytest.param(8, 240, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)


def survive(company: Company, trouble: Trouble, seconds: float) -> None:
    """Do everything to it, and judge it."""
    company.progress()
    done = Counter[str]()
    for fault in schedule(trouble, seconds):
        done[fault.__name__] += 1
        fault()
        company.progress()
    outcomes = company.judge()
    print(f"\n{dict(done)}\n{dict(outcomes)}\n{len(company.gone)} were killed")  # what the run was worth


@SHORT_AND_LONG
def test_histories_without_a_broker(
    postgres: PostgresServer, ways: list[Proxy], tmp_path: Path, size: int, seconds: float
) -> None:
    schema = f"histories_{next(_SCHEMAS)}"
    with Company(
        tmp_path, store=through(postgres, ways, schema), direct=f"{postgres.url()}?schema={schema}",
        size=size, faults=KILLS[:2] if not seconds else KILLS * 3,
    ) as company:  # fmt: skip
        survive(company, Trouble(company, postgres, ways, random.Random(seconds)), seconds)


@SHORT_AND_LONG
def test_histories_with_jetstream(
    postgres: PostgresServer, ways: list[Proxy], tmp_path: Path, size: int, seconds: float
) -> None:
    schema = f"histories_{next(_SCHEMAS)}"
    with NatsServer(tmp_path / "nats") as nats, Proxy(nats.address) as way:
        with Company(
            tmp_path, store=through(postgres, ways, schema), direct=f"{postgres.url()}?schema={schema}",
            broker=f"nats://127.0.0.1:{way.port}", size=size, faults=KILLS[2:3] if not seconds else KILLS * 3,
        ) as company:  # fmt: skip
            trouble = BrokerTrouble(company, postgres, ways, random.Random(seconds), nats, way)
            survive(company, trouble, seconds)


@pytest.mark.parametrize(
    ("size", "rounds"), [(2, 1), pytest.param(8, 5, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_histories_over_a_failover_to_a_promoted_standby(tmp_path: Path, size: int, rounds: int) -> None:
    chance = random.Random(rounds)
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        with servers() as (primary, standby):

            def store(_: int, primary: PostgresServer = primary, standby: PostgresServer = standby) -> str:
                hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
                return f"{primary.url().replace(f'127.0.0.1:{primary.port}', hosts)}?target_session_attrs=read-write"

            with Company(folder, store=store, direct=store(0), size=size) as company:
                company.progress(3 + number)
                primary.kill()
                time.sleep(chance.choice([0, 0.5, 3]) if rounds > 1 else 0)
                standby.promote()
                company.progress(5)
                print(f"\n{dict(company.judge())}")


@contextmanager
def servers() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A server and its synchronous standby."""
    # As the session's server: not under pytest's own folder.
    folders = [Path(tempfile.mkdtemp(prefix="jammi-failover-")) for _ in range(2)]
    primary = PostgresServer(folders[0], settings={"deadlock_timeout": "50ms"})
    try:
        primary.start()
        standby = primary.standby(folders[1])
        try:
            yield primary, standby
        finally:
            standby.remove()
    finally:
        primary.remove()
        shutil.rmtree(folders[1], ignore_errors=True)
