"""What becomes of publishes, statements and subscriptions when the PostgreSQL server, or the way to it, goes away."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from jammi_sql import Engine, faults
from jammi_sql.errors import ConnectionLost, OperationalError, QueryCanceled
from jammi_sql.ports import NamedQuery
from jammi_sql.topics import Predicate, TopicDefinition
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.topic_support import LIMIT, batch_of, definition, ids, log, offsets, receive, until


def test_what_is_done_after_the_connections_were_cut_is_done_on_new_ones(
    engine: Engine, topic: TopicDefinition, proxy: Proxy
) -> None:
    session = engine.session()
    engine.publisher.publish_scoped(topic, None, batch_of([1]))
    proxy.drop()
    assert engine.publisher.publish_scoped(topic, None, batch_of([2])).value == 1
    proxy.drop()
    assert session.execute("SELECT count(*) FROM events.changes").fetchone() == (2,)
    proxy.drop()
    assert session.execute("INSERT INTO events.changes VALUES (3, 'X', 1.5)").rowcount == 1
    assert log(engine, topic) == [1, 2, 3]


def test_a_subscription_outlives_a_restart_of_the_server(
    engine: Engine, topic: TopicDefinition, postgres: PostgresServer
) -> None:
    subscription = engine.subscriber.subscribe(topic, Predicate.match_all(), None)
    for number in range(3):
        engine.publisher.publish_scoped(topic, None, batch_of([number]))
        if number == 1:
            postgres.kill()
            postgres.start()
    assert offsets(receive(subscription, 3)) == [0, 1, 2]


def test_a_publish_waits_for_a_server_that_restarts(
    engine: Engine, topic: TopicDefinition, postgres: PostgresServer
) -> None:
    postgres.kill()
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(engine.publisher.publish_scoped, topic, None, batch_of([1]))
        postgres.start()
        assert publishing.result(LIMIT).value == 0
    assert log(engine, topic) == [1]


def test_a_server_that_stays_away_is_an_error_after_the_limit(open_engine: Callable[..., Engine], proxy: Proxy) -> None:
    engine = open_engine(retry_timeout=0.2)
    topic = definition()
    engine.topic_repo.register_topic(topic)
    session = engine.session()
    session.execute("BEGIN")
    session.execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")
    proxy.cut()
    for call in (
        lambda: engine.publisher.publish_scoped(topic, None, batch_of([2])),
        lambda: engine.session().execute("SELECT * FROM events.changes").fetchall(),
        lambda: session.execute("INSERT INTO events.changes VALUES (3, 'X', NULL)"),
    ):
        with pytest.raises(ConnectionLost) as raised:
            call()
        assert raised.value.sqlstate.startswith("08")
        assert raised.value.hint
    proxy.heal()
    session.execute("ROLLBACK")
    engine.publisher.publish_scoped(topic, None, batch_of([4]))
    assert log(engine, topic) == [4]


def test_a_connection_that_is_lost_during_the_commit_says_that_nobody_knows(
    engine: Engine, topic: TopicDefinition, proxy: Proxy
) -> None:
    session = engine.session()
    session.execute("BEGIN")
    session.execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")
    with faults.armed("store.before_commit", proxy.drop), pytest.raises(OperationalError) as raised:
        session.execute("COMMIT")
    assert raised.value.sqlstate == "08007"
    offset = engine.publisher.publish_scoped(topic, None, batch_of([2])).value
    assert log(engine, topic) == ([2] if offset == 0 else [1, 2])


def test_a_pool_that_is_exhausted_is_an_error_after_the_limit(open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(pool_size=2, lock_timeout=0.2)
    for name in "ab":
        engine.session().execute(f"CREATE TABLE {name} (k BIGINT PRIMARY KEY)")
    holders = [engine.session() for _ in range(2)]
    for name, holder in zip("ab", holders, strict=True):
        holder.execute("BEGIN")
        holder.execute(f"INSERT INTO {name} VALUES (1)")
    with pytest.raises(OperationalError) as raised:
        engine.session().execute("INSERT INTO a VALUES (2)")
    assert raised.value.sqlstate == "53300"
    assert "pool_size" in (raised.value.hint or "")
    for holder in holders:
        holder.execute("COMMIT")
    engine.session().execute("INSERT INTO a VALUES (2)")


def test_another_process_s_commit_is_heard_with_and_without_notifications(
    open_engine: Callable[..., Engine], topic: TopicDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = open_engine().subscriber.subscribe(topic, Predicate.match_all(), None)
    monkeypatch.setattr("jammi_sql.stores.postgres_listener.importlib.util.find_spec", lambda name: None)
    looking = open_engine().subscriber.subscribe(topic, Predicate.match_all(), None)
    publisher = open_engine().publisher
    for number in range(5):
        publisher.publish_scoped(topic, None, batch_of([number]))
        for subscription in (listening, looking):
            assert ids(receive(subscription, 1)) == [number]


def test_a_statement_over_a_connection_that_went_silent_ends_with_its_time_limit(
    engine: Engine, topic: TopicDefinition, proxy: Proxy
) -> None:
    session = engine.session()
    session.execute("SET jammi.statement_timeout = 0.3")
    proxy.blackhole()
    with pytest.raises(QueryCanceled):
        session.execute("INSERT INTO events.changes VALUES (1, 'X', NULL)")
    proxy.heal()
    session.execute("RESET jammi.statement_timeout")
    session.execute("INSERT INTO events.changes VALUES (2, 'X', NULL)")
    assert log(engine, topic) == [2]


def test_a_call_to_which_no_answer_comes_ends_by_itself(
    open_engine: Callable[..., Engine], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jammi_sql.stores.watchdog._SILENCE", 0.3)
    monkeypatch.setattr("jammi_sql.stores.watchdog._PROBE_LIMIT", 0.5)
    engine = open_engine(retry_timeout=0.1)
    topic = definition()
    engine.topic_repo.register_topic(topic)
    proxy.blackhole()
    with pytest.raises(ConnectionLost):
        engine.topic_repo.list_topics(None)
    with pytest.raises(ConnectionLost):
        engine.publisher.publish_scoped(topic, None, batch_of([1]))
    proxy.heal()
    engine.publisher.publish_scoped(topic, None, batch_of([2]))
    assert log(engine, topic) == [2]


def test_a_call_that_the_server_is_at_work_on_is_left_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jammi_sql.stores.watchdog._SILENCE", 0.2)
    store = engine.services.store
    query = NamedQuery("sleep", "SELECT 1::BIGINT AS one FROM pg_sleep(2)", pa.schema([("one", pa.int64())]))
    assert store.query(query).num_rows == 1


def test_a_connection_whose_answer_was_lost_is_given_up_while_others_are_well(
    engine: Engine, topic: TopicDefinition, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jammi_sql.stores.watchdog._SILENCE", 0.3)
    assert log(engine, topic) == []
    proxy.blackhole()
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(engine.publisher.publish_scoped, topic, None, batch_of([1]))
        until(lambda: proxy.swallowed, "its question is lost")
        proxy.hear()
        assert publishing.result(LIMIT).value == 0
    assert log(engine, topic) == [1]
