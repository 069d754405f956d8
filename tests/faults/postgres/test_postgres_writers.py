"""Publishers on one PostgreSQL server: what is written once, together, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine, faults
from jammi_sql.arrow.ranges import encode_ranges
from jammi_sql.errors import Error, OperationalError, QueryCanceled, TopicNotFound
from jammi_sql.ports import NamedQuery
from jammi_sql.stores.postgres_connection import PostgresConnection
from jammi_sql.topics import Offset, Predicate, TopicDefinition
from jammi_sql.topics.appending import Append
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.topic_support import LIMIT, batch_of, definition, ids, log, receive, until


def once(act: Callable[[], None]) -> Callable[[], None]:
    """The first call does it."""
    acts = iter([act])

    def call() -> None:
        for one in acts:
            one()

    return call


def publish_once(engine: Engine) -> None:
    engine.publisher.publish_scoped(definition(), None, batch_of([1]))


def insert_once(engine: Engine) -> None:
    engine.session().execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")


def insert_many_once(engine: Engine) -> None:
    engine.session().cursor().executemany("INSERT INTO events.changes VALUES ($1, 'X', NULL)", [[1]])


def commit_once(engine: Engine) -> None:
    with engine.session() as session, session.transaction():
        session.execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")


@pytest.fixture
def direct(url: str, proxy: Proxy, postgres: PostgresServer) -> Iterator[Engine]:
    """An engine on the store whose way to the server is always well."""
    with Engine.open(url.replace(f":{proxy.port}/", f":{postgres.port}/")) as engine:
        yield engine


_WAITING = NamedQuery(
    "waiting",
    "SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')",
    pa.schema([("waiting", pa.int64())]),
)


def until_waiting(direct: Engine, many: int = 1) -> None:
    """Until so many wait for somebody else's transaction."""
    store = direct.services.store
    until(lambda: store.query(_WAITING).column(0)[0].as_py() >= many, "they wait for the topic")


def test_what_was_committed_though_its_answer_was_lost_is_never_written_again(
    open_engine: Callable[..., Engine],
    topic: TopicDefinition,
    direct: Engine,
    proxy: Proxy,
) -> None:
    engine = open_engine()
    with ThreadPoolExecutor(1) as pool:
        with faults.armed("store.before_commit", once(proxy.mute)):
            writing = pool.submit(commit_once, engine)
            until(lambda: log(direct, topic) == [1], "it is committed")
        proxy.drop()
        proxy.heal()
        with pytest.raises(OperationalError) as raised:
            writing.result(LIMIT)
        assert raised.value.sqlstate == "08007"
        assert log(direct, topic) == [1]
        assert engine.publisher.publish_scoped(topic, None, batch_of([2])).value == 1


@pytest.mark.parametrize("write", [publish_once, insert_once, insert_many_once])
def test_what_was_published_in_one_statement_whose_answer_was_lost_is_never_written_again(
    engine: Engine, topic: TopicDefinition, direct: Engine, proxy: Proxy, write: Callable[[Engine], None]
) -> None:
    other = direct.session()
    other.execute("BEGIN")
    other.execute("INSERT INTO events.changes VALUES (0, 'X', NULL)")
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write, engine)
        until_waiting(direct)
        proxy.mute()
        other.execute("ROLLBACK")
        until(lambda: log(direct, topic) == [1], "it is committed")
        proxy.drop()
        proxy.heal()
        with pytest.raises(OperationalError) as raised:
            writing.result(LIMIT)
    assert raised.value.sqlstate == "08007"
    assert log(direct, topic) == [1]
    assert engine.publisher.publish_scoped(topic, None, batch_of([2])).value == 1


@pytest.mark.parametrize("place", ["store.before_commit", "store.after_begin"])
def test_a_publish_that_loses_its_connection_before_it_is_written_is_done_on_another_one(
    engine: Engine, topic: TopicDefinition, proxy: Proxy, place: str
) -> None:
    if place == "store.before_commit":  # it is one statement, of which the server has not heard yet
        with faults.armed(place, once(proxy.drop)):
            engine.publisher.publish_scoped(topic, None, batch_of([1]))
    else:
        with faults.armed(place, once(proxy.drop)):
            engine.session().execute("INSERT INTO events.changes SELECT 1, 'X', NULL")
    assert log(engine, topic) == [1]


def test_a_publish_is_one_statement_and_so_are_those_that_wait_for_it(
    engine: Engine, topic: TopicDefinition, direct: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.publisher.publish_scoped(topic, None, batch_of([1]))
    run: list[str] = []
    method = PostgresConnection._run

    def counted(self: PostgresConnection, call: Any, text: str, given: Any, doing: str, *, keep: bool) -> Any:
        if doing not in ("notify", "topics_with_retention", "commit_mark"):  # of the background
            run.append(doing)
        return method(self, call, text, given, doing, keep=keep)

    other = direct.session()
    other.execute("BEGIN")
    other.execute("INSERT INTO events.changes VALUES (0, 'X', NULL)")
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(engine.publisher.publish_scoped, topic, None, batch_of([2]))
        until_waiting(direct)
        rest = [pool.submit(engine.publisher.publish_scoped, topic, None, batch_of([3])) for _ in range(4)]
        until(lambda: len(engine.publisher._waiting) == 4, "the others wait for the first one")
        monkeypatch.setattr(PostgresConnection, "_run", counted)
        run.clear()
        other.execute("ROLLBACK")
        assert [first.result(LIMIT).value, *sorted(each.result(LIMIT).value for each in rest)] == [1, 2, 3, 4, 5]
        engine.publisher.publish_scoped(topic, None, batch_of([4]))
        assert [doing for doing in run if doing != "ROLLBACK"] == ["append_batches", "append_batch"]


def test_of_a_group_with_one_whose_topic_is_another_now_all_get_their_own_answer(
    engine: Engine, topic: TopicDefinition, direct: Engine
) -> None:
    services = engine.services
    old = services.catalog.resolve(services.store, topic)
    engine.session().execute("ALTER TOPIC events.changes ADD COLUMN more BIGINT")
    new = services.catalog.resolve(services.store, topic)
    wider = batch_of([1]).append_column("more", pa.nulls(1, pa.int64()))
    other = direct.session()
    other.execute("BEGIN")
    other.execute("INSERT INTO events.changes VALUES (0, 'X', NULL, NULL)")
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(engine.publisher.publish, new, None, wider)
        until_waiting(direct)
        good = [pool.submit(engine.publisher.publish, new, None, wider) for _ in range(2)]
        bad = pool.submit(engine.publisher.publish, old, None, batch_of([9]))
        until(lambda: len(engine.publisher._waiting) == 3, "the others wait for the first one")
        other.execute("ROLLBACK")
        assert sorted(each.result(LIMIT).value for each in [first, *good]) == [0, 1, 2]
        with pytest.raises(TopicNotFound):
            bad.result(LIMIT)
    assert log(engine, topic) == [1, 1, 1]


def test_a_leader_that_is_cancelled_leaves_the_others_their_turn(
    engine: Engine, topic: TopicDefinition, direct: Engine
) -> None:
    found = engine.services.catalog.resolve(engine.services.store, topic)
    cancelled = threading.Event()

    def check() -> None:
        if cancelled.is_set():
            raise QueryCanceled("enough")

    other = direct.session()
    other.execute("BEGIN")
    other.execute("INSERT INTO events.changes VALUES (0, 'X', NULL)")
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(engine.publisher.publish, found, None, batch_of([1]), check)
        until_waiting(direct)
        rest = [pool.submit(engine.publisher.publish, found, None, batch_of([2])) for _ in range(2)]
        until(lambda: len(engine.publisher._waiting) == 2, "the others wait for the first one")
        cancelled.set()
        with pytest.raises(QueryCanceled):
            first.result(LIMIT)
        other.execute("ROLLBACK")
        assert sorted(each.result(LIMIT).value for each in rest) == [0, 1]
    assert log(engine, topic) == [2, 2]


def test_a_wait_for_another_writer_ends_with_its_time_limit_and_publishes_nothing(
    engine: Engine, topic: TopicDefinition
) -> None:
    writer, waiting = engine.session(), engine.session()
    waiting.execute("SET jammi.statement_timeout = 0.3")
    writer.execute("BEGIN")
    writer.execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")
    with pytest.raises(QueryCanceled):
        waiting.execute("INSERT INTO events.changes VALUES (2, 'X', NULL)")
    writer.execute("COMMIT")
    waiting.execute("RESET jammi.statement_timeout")
    waiting.execute("INSERT INTO events.changes VALUES (3, 'X', NULL)")
    assert log(engine, topic) == [1, 3]


def test_a_wait_for_another_writer_ends_with_the_limit_of_locks(open_engine: Callable[..., Engine]) -> None:
    topic = definition()
    open_engine().topic_repo.register_topic(topic)
    engine = open_engine(lock_timeout=0.2)
    writer = engine.session()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")
    with pytest.raises(OperationalError) as raised:
        engine.session().execute("INSERT INTO events.changes VALUES (2, 'X', NULL)")
    assert raised.value.sqlstate == "55P03"
    writer.execute("ROLLBACK")
    assert log(engine, topic) == []


def test_of_two_transactions_that_wait_for_each_other_one_is_told_to_try_again(engine: Engine) -> None:
    for name in "ab":
        engine.session().execute(f"CREATE TABLE {name} (k BIGINT PRIMARY KEY)")
    sessions = {"ab": engine.session(), "ba": engine.session()}
    met = threading.Barrier(2)

    def both(order: str) -> str:
        session = sessions[order]
        session.execute("BEGIN")
        session.execute(f"INSERT INTO {order[0]} VALUES (1)")
        met.wait(LIMIT)
        try:
            session.execute(f"INSERT INTO {order[1]} VALUES (1)")
        except Error as error:
            session.execute("ROLLBACK")
            return error.sqlstate
        session.execute("COMMIT")
        return "committed"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(both, sessions)) == ["40P01", "committed"]
    for name in "ab":
        assert engine.session().execute(f"SELECT count(*) FROM {name}").fetchone() == (1,)


def test_no_reader_passes_an_offset_that_is_still_uncommitted(engine: Engine, topic: TopicDefinition) -> None:
    subscription = engine.subscriber.subscribe(topic, Predicate.match_all(), None)
    first = engine.session()
    first.execute("BEGIN")
    first.execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(engine.publisher.publish_scoped, topic, None, batch_of([2]))
        with pytest.raises(TimeoutError):
            subscription.next(timeout=0.2)
        assert not second.done()
        first.execute("COMMIT")
        assert second.result(LIMIT).value == 1
    assert [(one.offset.value, ids([one])) for one in receive(subscription, 2)] == [(0, [1]), (1, [2])]


@pytest.mark.parametrize("change", ["ADD COLUMN more BIGINT", "RENAME TO renamed"])
@pytest.mark.parametrize("old_first", [True, False])
def test_of_a_group_in_which_somebody_knows_an_older_topic_nothing_is_written_together(
    engine: Engine, topic: TopicDefinition, change: str, old_first: bool
) -> None:
    services = engine.services
    known = [services.catalog.resolve(services.store, topic)]
    engine.session().execute(f"ALTER TOPIC events.changes {change}")
    known.append(services.catalog.resolve(services.store, topic))
    wider = batch_of([1]).append_column("more", pa.nulls(1, pa.int64()))
    appends = [
        Append(one, "", 1, encode_ranges(batch), one.codec.encode(batch))
        for one in known
        for batch in [batch_of([1]) if len(one.codec.schema) == 3 else wider]
    ]
    transaction = services.store.begin()
    assert services.log.append(transaction, appends if old_first else appends[::-1], 1) is None
    transaction.rollback()
    with services.store.begin() as transaction:
        assert services.log.append(transaction, [appends[1]] * 2, 1) == [(0, 1), (1, 1)]
    assert engine.publisher.publish_scoped(topic, None, batch_of([2])).value == 2
    assert log(engine, topic) == [1, 1, 2]


def test_times_never_fall_whatever_the_clocks_of_the_publishers_say(url: str) -> None:
    class Jumping:
        def __init__(self, *moments: int) -> None:
            self._moments = iter(moments)
            self._last = 0

        def now_us(self) -> int:
            self._last = next(self._moments, self._last)
            return self._last

    topic = definition()
    clocks = [Jumping(5, 9, 1, 3), Jumping(4, 20, 2)]
    with Engine.open(url, clock=clocks[0]) as one, Engine.open(url, clock=clocks[1]) as other:
        one.topic_repo.register_topic(topic)
        produced = [
            engine.publisher.publish_scoped(topic, None, batch_of([number])).produced_at
            for number, engine in enumerate((one, other, one, other, one))
        ]
        assert produced == sorted(produced)
        replayed = one.subscriber.replay_only(topic, Predicate.match_all(), Offset(0))
        assert [batch.produced_at for batch in replayed] == produced
