"""Attached files beside databases: outer joins of theirs, and views over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from jammi_sql import Connection, connect

TABLES = {
    "a": pa.table({"id": [1, 2, 3, 4], "s": ["x", "y", None, "a;b"], "odd name": [1.5, None, 2.5, -1.0]}),
    "b": pa.table({"id": [2, 3, 5, None], "s": ["p", "q", "r", "s"], "odd name": [None, 0.5, 1.0, 2.0]}),
}


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[Connection]:
    """A session with the tables ``a`` and ``b`` of its own, and attached as Parquet (``f``), CSV (``c``) and folders of files (``p``)."""
    for folder in ("f", "c", "p/a", "p/b"):
        (tmp_path / folder).mkdir(parents=True)
    with connect() as connection:
        for name, rows in TABLES.items():
            with connection.cursor() as cursor:
                cursor.adbc_ingest(name, rows)
            pq.write_table(rows, tmp_path / "f" / f"{name}.parquet")
            pyarrow.csv.write_csv(rows, tmp_path / "c" / f"{name}.csv")
            for part in (0, 1):
                pq.write_table(rows.slice(part * 2, 2), tmp_path / "p" / name / f"part{part}.parquet")
        for folder in "fcp":
            connection.execute(f"ATTACH ? AS {folder}", (str(tmp_path / folder),))
        yield connection


def rows_of(connection: Connection, text: str) -> list[tuple]:
    return sorted(connection.execute(text).fetchall(), key=repr)


@pytest.mark.parametrize("join", ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
@pytest.mark.parametrize("places", [("f", "f"), ("c", "c"), ("p", "p"), ("f", "c"), ("p", "jammi")])
def test_a_join_of_files_has_all_its_rows(filed: Connection, places: tuple[str, str], join: str) -> None:
    text = (
        'SELECT a.id AS one, b.id AS two, a.s AS three, b.s, b."odd name" FROM {}.public.a AS a {} {}.public.b AS b ON a.id = b.id'
        " WHERE a.id > 1 OR b.s IS NOT NULL"
    )
    expected = rows_of(filed, text.format("jammi", join, "jammi"))
    assert len(expected) > 1
    assert rows_of(filed, text.format(places[0], join, places[1])) == expected
