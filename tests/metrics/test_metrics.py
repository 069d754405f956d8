"""What is measured of an engine whose metrics are asked for, and that nothing is of any other."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

import jammi_sql
from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.errors import FeatureNotSupported, InvalidParameter, LockNotAvailable
from jammi_sql.metrics import INSTRUMENTS, Instrument, Metrics, Observe, Record
from jammi_sql.metrics.recorder import OTHER, TOPICS, Recorder
from jammi_sql.topics import Publisher, Subscription
from tests.topic_support import LIMIT, TENANT_A, batch_of, definition, receive

ORDERS = definition("sales.orders")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def engine(registry: CollectorRegistry) -> Iterator[Engine]:
    with Engine.open(broker=InMemoryBroker(), metrics=registry) as engine:
        engine.topic_repo.register_topic(ORDERS)
        yield engine


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


# --- off ---


def test_nothing_is_loaded_and_no_part_is_another_when_nobody_asks(tmp_path: Path) -> None:
    text = """
import sys, jammi_sql
with jammi_sql.connect(sys.argv[1]) as conn:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    engine = conn.engine
    print([type(part).__name__ for part in (engine.publisher, engine.services.store, engine.sql_session())])
    print(engine.services.store.on_retry)
print([name for name in sys.modules if name.startswith(("jammi_sql.metrics", "prometheus_client", "opentelemetry"))])
"""
    done = subprocess.run(
        [sys.executable, "-c", text, str(tmp_path / "store")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['Publisher', 'SqliteStore', 'Session']", "None", "[]"]


# --- publish ---


def test_a_publish_counts_its_batch_its_rows_its_bytes_and_its_time(
    engine: Engine, registry: CollectorRegistry
) -> None:
    batches = [batch_of([1, 2]), batch_of([3])]
    for batch in batches:
        engine.publisher.publish_scoped(ORDERS, None, batch)
    assert value(registry, "jammi_publish_batches_total", topic="sales.orders") == 2
    assert value(registry, "jammi_publish_rows_total", topic="sales.orders") == 3
    size = sum(batch.nbytes for batch in batches)
    assert value(registry, "jammi_publish_bytes_total", topic="sales.orders") == size
    assert value(registry, "jammi_publish_duration_seconds_count", topic="sales.orders") == 2
    assert (value(registry, "jammi_publish_duration_seconds_sum", topic="sales.orders") or 0) > 0


def test_a_transaction_counts_when_it_commits_and_one_that_is_undone_does_not(registry: CollectorRegistry) -> None:
    with jammi_sql.connect(metrics=registry) as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        with conn.transaction():
            conn.execute("INSERT INTO t VALUES (1), (2)")
            assert value(registry, "jammi_publish_rows_total", topic="t") is None
        assert value(registry, "jammi_publish_rows_total", topic="t") == 2
        with pytest.raises(ZeroDivisionError), conn.transaction():
            conn.execute("INSERT INTO t VALUES (3)")
            raise ZeroDivisionError
        conn.execute("BEGIN")
        conn.execute("SAVEPOINT one")
        conn.execute("INSERT INTO t VALUES (4)")
        conn.execute("ROLLBACK TO one")
        conn.execute("INSERT INTO t VALUES (5)")
        conn.execute("COMMIT")
        assert value(registry, "jammi_publish_rows_total", topic="t") == 3
        assert value(registry, "jammi_publish_batches_total", topic="t") == 2


def test_a_publish_that_fails_does_not_count(engine: Engine, registry: CollectorRegistry) -> None:
    with pytest.raises(jammi_sql.Error):
        engine.publisher.publish_scoped(ORDERS, None, pa.record_batch({"other": [1]}))
    assert value(registry, "jammi_publish_batches_total", topic="sales.orders") is None


def test_a_hand_over_that_fails_counts_and_the_batch_stands(engine: Engine, registry: CollectorRegistry) -> None:
    assert isinstance(engine.broker, InMemoryBroker)
    engine.broker.trigger_failure_for_next_publish("simulated outage")
    for number in (1, 2):
        engine.publisher.publish_scoped(ORDERS, None, batch_of([number]))
    assert value(registry, "jammi_fanout_failures_total", topic="sales.orders", broker="memory") == 1
    assert value(registry, "jammi_publish_batches_total", topic="sales.orders") == 2


# --- deliver ---


def test_deliveries_count_whichever_way_they_are_read(engine: Engine, registry: CollectorRegistry) -> None:
    def publish(number: int) -> None:
        engine.publisher.publish_scoped(ORDERS, None, batch_of([number, number]))

    def counted() -> tuple[float | None, float | None, float | None]:
        return tuple(
            value(registry, f"jammi_deliver_{name}", topic="sales.orders")
            for name in ("batches_total", "rows_total", "duration_seconds_count")
        )

    with engine.subscriber.subscribe(ORDERS) as subscription:
        publish(1)
        subscription.next(LIMIT)
        assert counted() == (1, 2, 1)
        publish(2)
        assert next(subscription).offset.value == 1
        assert counted() == (2, 4, 2)

        async def one() -> None:
            publish(3)
            await anext(subscription)

        asyncio.run(one())
        assert counted() == (3, 6, 3)
    cursor = engine.session().execute("SELECT id FROM subscribe('sales.orders')")
    publish(4)
    assert cursor.next_batch(LIMIT) is not None
    cursor.close()
    assert counted() == (4, 8, 4)


def test_history_is_delivered_but_says_nothing_of_how_long_a_delivery_takes(
    engine: Engine, registry: CollectorRegistry
) -> None:
    engine.publisher.publish_scoped(ORDERS, None, batch_of([1]))
    with engine.subscriber.subscribe(ORDERS, from_offset=0) as subscription:
        receive(subscription, 1)
    assert len(engine.subscriber.replay_only(ORDERS, from_offset=0)) == 1
    assert value(registry, "jammi_deliver_batches_total", topic="sales.orders") == 2
    assert value(registry, "jammi_deliver_duration_seconds_count", topic="sales.orders") in (None, 0)


def test_the_lag_is_that_of_the_slowest_live_subscription(engine: Engine, registry: CollectorRegistry) -> None:
    assert value(registry, "jammi_subscription_lag", topic="sales.orders") is None
    quick, slow = (engine.subscriber.subscribe(ORDERS) for _ in range(2))
    for number in range(3):
        engine.publisher.publish_scoped(ORDERS, None, batch_of([number]))
    receive(quick, 3)
    receive(slow, 1)
    assert value(registry, "jammi_subscription_lag", topic="sales.orders") == 2
    assert value(registry, "jammi_subscriptions", topic="sales.orders") == 2
    slow.close()
    assert value(registry, "jammi_subscription_lag", topic="sales.orders") == 0
    assert value(registry, "jammi_subscriptions", topic="sales.orders") == 1
    quick.close()
    assert value(registry, "jammi_subscription_lag", topic="sales.orders") is None


# --- store ---


def test_the_store_takes_down_how_long_it_takes(engine: Engine, registry: CollectorRegistry) -> None:
    def counts() -> dict[str, float]:
        return {
            operation: value(registry, "jammi_store_duration_seconds_count", store="sqlite", operation=operation) or 0
            for operation in ("begin", "query", "execute", "commit")
        }

    before = counts()
    engine.publisher.publish_scoped(ORDERS, None, batch_of([1]))
    after = counts()
    assert after["begin"] == before["begin"] + 1
    assert after["commit"] == before["commit"] + 1
    assert after["query"] + after["execute"] > before["query"] + before["execute"]


def test_what_the_store_tries_again_counts(tmp_path: Path, registry: CollectorRegistry) -> None:
    target = str(tmp_path / "store")
    with Engine.open(target) as other, Engine.open(target, metrics=registry, lock_timeout=0.05) as engine:
        engine.topic_repo.register_topic(ORDERS)
        assert value(registry, "jammi_store_retries_total", store="sqlite", kind="locked") is None
        with other.services.store.begin(), pytest.raises(LockNotAvailable):
            engine.publisher.publish_scoped(ORDERS, None, batch_of([1]))
        assert (value(registry, "jammi_store_retries_total", store="sqlite", kind="locked") or 0) > 0


# --- statements ---


def test_statements_count_by_kind_and_their_errors_by_class(registry: CollectorRegistry) -> None:
    with jammi_sql.connect(metrics=registry) as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        conn.cursor().executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        conn.cursor().executescript("INSERT INTO t VALUES (1); SELECT 1")
        for text in ("SELECT * FROM nothing", "CREATE TOPIC", "CREATE TOPIC t (a INT)"):
            with pytest.raises(jammi_sql.Error):
                conn.execute(text)
        with pytest.raises(jammi_sql.Error):
            conn.execute("SELECT 1 / a FROM (VALUES (0)) AS v (a)").fetchall()
    for kind, count in {"create_topic": 2, "insert": 2, "query": 3, "unknown": 1}.items():
        assert value(registry, "jammi_statements_total", statement=kind) == count
    for kind, count in {"create_topic": 2, "insert": 2, "query": 3}.items():
        assert value(registry, "jammi_statement_duration_seconds_count", statement=kind) == count
    errors = {("create_topic", "42"): 1, ("query", "42"): 1, ("query", "22"): 1, ("unknown", "42"): 1}
    for (kind, state), count in errors.items():
        assert value(registry, "jammi_statement_errors_total", statement=kind, sqlstate_class=state) == count


@pytest.mark.parametrize("end", ["read", "close", "let go"])
def test_a_result_is_part_of_its_statement_until_it_is_read_or_closed(registry: CollectorRegistry, end: str) -> None:
    def ended() -> float | None:
        return value(registry, "jammi_statement_duration_seconds_count", statement="query")

    with jammi_sql.connect(metrics=registry) as conn:
        result = conn.engine.sql_session().execute("SELECT * FROM range(0, 100000)")
        assert result.next_batch() is not None
        assert ended() is None
        if end == "read":
            assert result.reader().read_all().num_rows > 0
        elif end == "close":
            result.close()
        else:
            del result
        assert ended() == 1


# --- where they go ---


def test_what_is_kept_names_no_tenant_and_no_value(engine: Engine, registry: CollectorRegistry) -> None:
    engine.publisher.publish_scoped(ORDERS, TENANT_A, batch_of([424242]))
    session = engine.session(TENANT_A)
    session.execute("SELECT 'secret text' FROM sales.orders WHERE id = 424242").fetchall()
    with pytest.raises(jammi_sql.Error):
        session.execute("SELECT secret_column FROM sales.orders")
    kept = generate_latest(registry).decode()
    assert 'topic="sales.orders"' in kept
    assert [each for each in (str(TENANT_A), "secret", "424242") if each in kept] == []


def test_engines_of_one_process_share_a_registry(registry: CollectorRegistry) -> None:
    with Engine.open(metrics=registry) as one, Engine.open(metrics=registry) as two:
        live = []
        for engine, subscriptions in ((one, 2), (two, 1)):
            engine.topic_repo.register_topic(ORDERS)
            live += [engine.subscriber.subscribe(ORDERS) for _ in range(subscriptions)]
            engine.publisher.publish_scoped(ORDERS, None, batch_of([1]))
        assert value(registry, "jammi_publish_batches_total", topic="sales.orders") == 2
        assert value(registry, "jammi_subscriptions", topic="sales.orders") == 2  # the larger
        for subscription in live[:2]:
            subscription.close()
        assert value(registry, "jammi_subscriptions", topic="sales.orders") == 1


def test_a_closed_engine_is_asked_no_more(registry: CollectorRegistry) -> None:
    with Engine.open(metrics=registry) as engine:
        engine.topic_repo.register_topic(ORDERS)
        subscription = engine.subscriber.subscribe(ORDERS)
        assert value(registry, "jammi_subscriptions", topic="sales.orders") == 1
    assert subscription.closed
    assert value(registry, "jammi_subscriptions", topic="sales.orders") is None


def test_the_default_registry_goes_by_its_name() -> None:
    with Engine.open(metrics="prometheus") as engine:
        engine.topic_repo.register_topic(definition("in_the_default_registry"))
        engine.publisher.publish_scoped(definition("in_the_default_registry"), None, batch_of([1]))
    assert value(REGISTRY, "jammi_publish_batches_total", topic="in_the_default_registry") == 1


def collected(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, str], object]]]:
    data = reader.get_metrics_data()
    return {
        metric.name: [(dict(point.attributes), point) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


@pytest.mark.parametrize("what", ["provider", "meter"])
def test_opentelemetry_keeps_the_same(what: str) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics = provider if what == "provider" else provider.get_meter("mine")
    with Engine.open(metrics=metrics) as engine, Engine.open(metrics=metrics) as other:
        other.topic_repo.register_topic(ORDERS)
        engine.topic_repo.register_topic(ORDERS)
        subscription = engine.subscriber.subscribe(ORDERS)
        for number in range(3):
            engine.publisher.publish_scoped(ORDERS, None, batch_of([number]))
        receive(subscription, 1)
        other.publisher.publish_scoped(ORDERS, None, batch_of([4]))
        found = collected(reader)
        ((attributes, point),) = found["jammi.publish.rows"]
        assert (attributes, point.value) == ({"topic": "sales.orders"}, 4)
        ((attributes, point),) = found["jammi.publish.duration"]
        assert (attributes, point.count) == ({"topic": "sales.orders"}, 4)
        assert 0.01 in point.explicit_bounds
        ((attributes, point),) = found["jammi.subscription.lag"]
        assert (attributes, point.value) == ({"topic": "sales.orders"}, 2)
        assert {each["operation"] for each, _ in found["jammi.store.duration"]} >= {"begin", "commit", "query"}
    provider.shutdown()


def test_the_global_provider_goes_by_its_name() -> None:
    with Engine.open(metrics="opentelemetry") as engine:  # no SDK is set up: what is recorded goes nowhere
        engine.topic_repo.register_topic(ORDERS)
        assert engine.publisher.publish_scoped(ORDERS, None, batch_of([1])).value == 0


@pytest.mark.parametrize("wrong", ["graphite", 1, object(), True])
def test_what_is_no_place_for_metrics_is_refused(wrong: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter) as refused:
        jammi_sql.connect(tmp_path / "store", metrics=wrong)
    assert "'prometheus'" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("metrics", "library"), [("prometheus", "prometheus_client"), ("opentelemetry", "opentelemetry.metrics")]
)
def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, metrics: str, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(FeatureNotSupported) as refused:
        jammi_sql.connect(metrics=metrics)
    assert library in refused.value.message
    assert "jammi-sql[metrics]" in (refused.value.hint or "")


# --- an own place ---


class Kept:
    """The contract, in a few lines."""

    def __init__(self) -> None:
        self.records: list[tuple[str, tuple[str, ...], float]] = []
        self.observed: dict[str, Observe] = {}

    def counter(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        assert len(labels) == len(instrument.labels)
        return lambda number: self.records.append((instrument.name, labels, number))

    histogram = counter

    def gauge(self, instrument: Instrument, observe: Observe) -> Callable[[], None]:
        self.observed[instrument.name] = observe
        return lambda: self.observed.pop(instrument.name) and None

    def topics(self) -> set[str]:
        return {labels[0] for name, labels, _ in self.records if name == "jammi.publish.batches"}


def test_any_object_with_the_contract_will_do() -> None:
    kept = Kept()
    assert isinstance(kept, Metrics)
    with Engine.open(metrics=kept) as engine:
        engine.topic_repo.register_topic(ORDERS)
        engine.publisher.publish_scoped(ORDERS, None, batch_of([1]))
        assert ("jammi.publish.rows", ("sales.orders",), 1) in kept.records
        assert kept.observed["jammi.subscription.lag"]() == {}
    assert kept.observed == {}


def test_topics_past_a_number_share_their_series() -> None:
    kept = Kept()
    recorder = Recorder(kept, "sqlite", "memory")
    for number in range(TOPICS + 50):
        recorder.published(f"topic_{number}", 1, 1, 1)
        recorder.fan_out_failed(f"topic_{number}")
    recorder.observe_subscriptions(lambda: {f"topic_{number}": (1, number) for number in range(TOPICS + 50)})
    assert len(kept.topics()) == TOPICS + 1
    assert OTHER in kept.topics()
    lags: Mapping[tuple[str, ...], float] = kept.observed["jammi.subscription.lag"]()
    assert len(lags) == TOPICS + 1
    assert lags[(OTHER,)] == TOPICS + 49


def test_a_gauge_that_fails_takes_no_other_metric_with_it(
    engine: Engine, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine.publisher.publish_scoped(ORDERS, None, batch_of([1]))
    monkeypatch.setattr(type(engine.subscriber), "live", property(lambda self: 1 / 0))
    with caplog.at_level(logging.ERROR, "jammi_sql.metrics"):
        kept = generate_latest(registry).decode()
    monkeypatch.undo()
    assert "jammi_publish_rows_total" in kept
    assert [record.message for record in caplog.records] == ["a gauge has no value"] * 2


def test_names_are_those_that_opentelemetry_gives_them_for_prometheus() -> None:
    names = {each.name: each.prometheus_name for each in INSTRUMENTS}
    assert len(names) == len(set(names.values())) == len(INSTRUMENTS)
    assert names["jammi.publish.batches"] == "jammi_publish_batches_total"
    assert names["jammi.publish.bytes"] == "jammi_publish_bytes_total"
    assert names["jammi.publish.duration"] == "jammi_publish_duration_seconds"
    assert names["jammi.subscription.lag"] == "jammi_subscription_lag"


def test_the_parts_are_still_what_they_are_called(engine: Engine) -> None:
    assert isinstance(engine.publisher, Publisher)
    with engine.subscriber.subscribe(ORDERS) as subscription:
        assert isinstance(subscription, Subscription)
    assert isinstance(engine.broker, InMemoryBroker)
