"""How the server goes about the queries of a log of which it knows nothing yet."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.adbc.queries import load_queries
from jammi_sql.ports import NamedQuery
from tests.bench.rows import new_topic
from tests.servers.postgres import PostgresServer

_FILL = NamedQuery(
    "fill",
    'INSERT INTO batch (topic, "offset", produced_us, version, row_count, byte_count, checksum, tenant, ranges, payload)'
    " SELECT $1, n, n, 1, 1, 800, 0, '', '', convert_to(repeat('x', 800), 'UTF8') FROM generate_series(0, 19999) AS n",
    None,
)
_PLAN = pa.schema([("QUERY PLAN", pa.utf8())])


@pytest.fixture(scope="module")
def engine(postgres: PostgresServer) -> Iterator[Engine]:
    """With a topic ``t`` of so many batches that an estimate without statistics is off."""
    with Engine.open(postgres.url(postgres.create_database())) as engine:
        topic = new_topic(engine, "t")
        number = engine.services.catalog.resolve(engine.services.store, topic).number
        with engine.services.store.begin() as transaction:
            transaction.execute(_FILL, (number,))
        yield engine


@pytest.mark.parametrize(
    "name", ["batches_within", "batch_headers", "batch_headers_with_ranges", "batch_counts", "first_offset_since"]
)
def test_a_piece_of_a_long_log_is_read_in_the_order_of_its_index(engine: Engine, name: str) -> None:
    # To sort all that follows for each piece makes a replay quadratic.
    topic = engine.services.catalog.lookup(engine.services.store, None, "public", "t")
    assert topic is not None
    query = load_queries("topics", "postgres")[name]
    explain = NamedQuery("explain", f"EXPLAIN {query.text}", _PLAN)
    values: tuple[int | str, ...] = (topic.number, 5000, 20_000, "", 1024)
    if name == "first_offset_since":
        values = (topic.number, 5000, 0)
    if name == "batches_within":
        values = (*values, 8 << 20)
    plan = "\n".join(str(line) for line in engine.services.store.query(explain, values).column(0).to_pylist())
    assert "Index Scan" in plan
    assert "Sort" not in plan
    assert "Bitmap" not in plan
