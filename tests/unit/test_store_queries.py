"""Named queries as they are written in ``sql/queries``."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.adbc.queries import load_queries, parse_queries
from jammi_sql.errors import InternalError
from jammi_sql.ports import NamedQuery


def test_a_file_is_a_row_of_named_texts_with_the_schema_of_their_rows() -> None:
    found = parse_queries(
        "-- about this file\n\n-- name: one\n-- returns: a int64, b utf8 ,c binary, d float64\n-- why\nSELECT 1 AS a,\n"
        "    '; -- x' AS b;  \n\n-- about two\n-- name: two\nDELETE FROM t\n",
        "x.sql",
    )
    assert list(found) == ["one", "two"]
    assert found["one"].text == "SELECT 1 AS a,\n    '; -- x' AS b"
    columns: list[tuple[str, pa.DataType]] = [
        ("a", pa.int64()),
        ("b", pa.utf8()),
        ("c", pa.binary()),
        ("d", pa.float64()),
    ]
    assert found["one"].returns == pa.schema(columns)
    assert (found["two"].name, found["two"].text, found["two"].returns) == ("two", "DELETE FROM t", None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT 1;\n-- name: a\nSELECT 2", "before the first"),
        ("-- name: a\n-- name: b\nSELECT 2", "a has no text"),
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2", "twice"),
        ("-- name: a\n-- returns: x bigint\nSELECT 1", "'x bigint' is no column"),
        ("-- name: a\n-- returns: x\nSELECT 1", "'x' is no column"),
    ],
)
def test_a_file_that_breaks_the_rules_is_refused_with_its_name(text: str, complaint: str) -> None:
    with pytest.raises(InternalError, match=rf"area\.sql: .*{complaint}"):
        parse_queries(text, "area.sql")


def test_an_area_without_a_file_is_refused() -> None:
    with pytest.raises(InternalError, match="no queries for nowhere on sqlite"):
        load_queries("nowhere", "sqlite")


def test_every_shipped_file_of_queries_can_be_read() -> None:
    files = [
        file.name for file in (resources.files("jammi_sql.sql") / "queries").iterdir() if file.name.endswith(".sql")
    ]
    assert files
    for name in files:
        area, *kind = name.removesuffix(".sql").split(".")
        assert load_queries(area, kind[0] if kind else "sqlite")


@pytest.mark.parametrize(
    ("area", "name"),
    [
        ("topics", "topic_ends"),
        ("topics", "topic_heads"),
        ("topics", "topic_totals"),
        ("topics", "batch_counts"),
        ("topics", "newest_past_size"),
        ("topics", "first_visible_offset_since"),
        ("segments", "hot_size"),
        ("segments", "hot_stretches"),
    ],
)
def test_what_is_asked_about_many_batches_is_read_from_their_index_alone(tmp_path: Path, area: str, name: str) -> None:
    text = load_queries(area, "sqlite")[name].text
    count = max([int(number) for number in re.findall(r"\?(\d)", text)], default=0)
    with Engine.open(tmp_path) as engine:
        plan = engine.services.store.query(
            NamedQuery("plan", f"EXPLAIN QUERY PLAN {text}", _PLAN), tuple("[1]" for _ in range(count))
        )
        steps = [step for step in plan.column("detail").to_pylist() if "batch_place" in step]
    assert steps
    assert all("COVERING INDEX batch_place" in step for step in steps)


_PLAN = pa.schema([("id", pa.int64()), ("parent", pa.int64()), ("notused", pa.int64()), ("detail", pa.utf8())])
