"""Large segments are scanned with views of text; what a statement gives, and its types, stay what they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Connection, connect
from jammi_sql.engine import text_views
from jammi_sql.engine.segment_scan import SegmentScans

ROWS = 20_000


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A topic with segments and a hot end; NULL and empty text, text that is longer than a view holds by itself."""
    with connect(tmp_path_factory.mktemp("store") / "s", compaction=False, segment_rows=8000) as connection:
        connection.execute("CREATE TOPIC t (id BIGINT NOT NULL, kind VARCHAR NOT NULL, note VARCHAR, raw BYTEA)")
        insert = (
            "INSERT INTO t SELECT value, 'kind ' || (value % 7), CASE value % 5 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE "
            "repeat('long ', 1 + (value % 6)) || (value) END, CAST('x' || value AS BYTEA) FROM generate_series({}, {})"
        )
        for first in range(0, ROWS, 4000):
            connection.execute(insert.format(first, first + 3999))
        connection.execute("CALL jammi.compact('t')")
        connection.execute(insert.format(ROWS, ROWS + 99))
        yield connection


STATEMENTS = (
    "SELECT kind, count(*), min(note), max(note), count(note) FROM t GROUP BY kind ORDER BY kind",
    "SELECT * FROM t WHERE note = 'long long 7' OR id BETWEEN 19995 AND 20005 ORDER BY id",
    "SELECT upper(note), substr(note, 3, 4), length(note), note || '!' FROM t WHERE note LIKE '%ng 1%' ORDER BY 1, 4 LIMIT 50",
    "SELECT DISTINCT note IS NULL, note = '' FROM t ORDER BY 1, 2",
    "SELECT a.kind, count(*) FROM t AS a JOIN t AS b ON a.note = b.note WHERE a.id < 500 GROUP BY a.kind ORDER BY a.kind",
    "SELECT kind, note FROM t WHERE kind IN ('kind 1', 'kind 3') AND note <> '' ORDER BY note DESC, kind LIMIT 20",
    "WITH x AS (SELECT kind AS k, note FROM t) SELECT k, min(note) FROM x GROUP BY k UNION ALL SELECT 'none', 'x' ORDER BY 1",
    "SELECT CASE WHEN id % 2 = 0 THEN kind ELSE note END AS c, count(*) FROM t GROUP BY 1 ORDER BY 1 NULLS FIRST, 2 LIMIT 30",
    "SELECT note FROM t WHERE note > 'long long 2' AND note NOT IN ('long long 7', NULL) ORDER BY id",
    "SELECT coalesce(note, kind) AS c FROM t WHERE id > 19990 ORDER BY id",
    "SELECT kind, row_number() OVER (PARTITION BY kind ORDER BY id) AS n FROM t WHERE id > 19980 ORDER BY id",
    "SELECT id FROM t WHERE kind = $1 AND note IS NOT NULL ORDER BY id LIMIT 5",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statements_give_the_same_rows_and_types(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    values = ("kind 2",) if "$1" in statement else ()
    plain = connection.execute(statement, values).fetch_arrow_table()
    assert not any(pa.types.is_string_view(field.type) for field in plain.schema)
    planned: list[bool] = []
    monkeypatch.setattr("jammi_sql.engine.statements.WORTH_ROWS", 1)
    with_views = text_views.with_views
    monkeypatch.setattr(
        "jammi_sql.engine.segment_scan.with_views", lambda schema: planned.append(True) or with_views(schema)
    )
    connection.engine.services.scans._templates._values.clear()
    viewed = connection.execute(statement, values).fetch_arrow_table()
    assert planned  # views were in that plan
    assert viewed.schema.equals(plain.schema)
    assert viewed.equals(plain)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("SELECT count(*), upper(a) FROM t WHERE a IN ('x') AND (b = 1)", True),
        ("SELECT arrow_typeof(a) FROM t", False),
        ("SELECT my_own(a) FROM t", False),
        ('SELECT "arrow_typeof"(a) FROM t', False),
        ("SELECT arrow_typeof/* */(a) FROM t", False),
        ("SELECT arrow_typeof -- of\n(a) FROM t", False),
        ("SELECT json_get(a, 'x') FROM t", False),
        ("SELECT a FROM t", True),
    ],
)
def test_only_calls_that_are_known_keep_the_meaning(text: str, same: bool) -> None:
    assert text_views.keeps_meaning(text) is same


def test_the_type_of_a_column_is_what_it_was_whatever_is_scanned(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jammi_sql.engine.statements.WORTH_ROWS", 1)
    assert connection.execute("SELECT DISTINCT arrow_typeof(note) FROM t").fetchall() == [("Utf8",)]


def test_columns_whose_names_need_quotes_are_viewed_beside_a_hot_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jammi_sql.engine.statements.WORTH_ROWS", 1)
    with connect(tmp_path / "store", compaction=False) as connection:
        connection.execute('CREATE TOPIC b (s VARCHAR, "q""q" VARCHAR, "Upper.Dot" VARCHAR)')
        connection.execute("INSERT INTO b VALUES ('1', '2', '3')")
        connection.execute("CALL jammi.compact('b')")
        connection.execute("INSERT INTO b VALUES ('1', '5', '6')")
        seen: list[bool] = []
        frame_of = SegmentScans.frame

        def noted(self: SegmentScans, *arguments: Any, views: bool = False) -> Any:
            seen.append(views)
            return frame_of(self, *arguments, views=views)

        monkeypatch.setattr(SegmentScans, "frame", noted)
        cursor = connection.execute('SELECT s, max("q""q"), max("Upper.Dot") FROM b GROUP BY s')
        assert cursor.fetchall() == [("1", "5", "6")]
        assert seen == [False, True]
