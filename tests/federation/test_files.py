"""Attached files beside databases: outer joins of theirs, and views over them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from jammi_sql import Connection, connect

from .bothways import explained, pushed_and_not

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


def write_files(folder: Path, kind: str) -> None:
    """Files of one relation ``x`` with the columns ``id`` and ``t``, ids 0 to 39, some of them read in several scans."""
    rows = [{"id": place, "t": f"a;'{place}\n\\"} for place in range(40)]
    for part in (0, 1):
        some = rows[part * 20 : part * 20 + 20]
        into = folder / "x" / (f"half={part}" if kind == "hive" else "")
        into.mkdir(parents=True, exist_ok=True)
        if kind in ("parquet", "hive"):
            pq.write_table(pa.Table.from_pylist(some), into / f"{part}.parquet")
        elif kind == "arrow":
            with pa.OSFile(str(into / f"{part}.arrow"), "wb") as file, pa.ipc.new_file(file, PAIR) as writer:
                writer.write_table(pa.Table.from_pylist(some, schema=PAIR))
        elif kind == "json":
            (into / f"{part}.json").write_text("".join(json.dumps(row) + "\n" for row in some))
        elif kind == "csv":
            (into / f"{part}.csv").write_text("id,t\n" + "".join(f'{row["id"]},"{row["t"]}"\n' for row in some))
        else:
            with gzip.open(into / f"{part}.csv.gz", "wt") as file:
                file.writelines(f"{row['id']}|^{row['t'].replace('^', '~^')}^\n" for row in some)


PAIR = pa.schema([("id", pa.int64()), ("t", pa.string())])
KINDS = {
    "parquet": "",
    "hive": "",
    "arrow": "",
    "json": "",
    "csv": "(newlines_in_values true)",
    "csv.gz": "(header false, delimiter '|', quote '^', escape '~', newlines_in_values true)",
}
OVER = (
    "SELECT s.t, a.k, count(*) FROM {} AS s JOIN pg.public.one AS a ON a.id = s.id JOIN pg.public.two AS b ON b.id = a.id"
    " GROUP BY s.t, a.k"
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_over_files_is_cut_with_what_it_is_joined_with(attached: Connection, tmp_path: Path, kind: str) -> None:
    write_files(tmp_path, kind)
    attached.execute(f"ATTACH ? AS many {KINDS[kind]}", (str(tmp_path),))
    id_, t = ("column_1", "column_2") if "header" in KINDS[kind] else ("id", "t")
    attached.execute(f"CREATE VIEW seen AS SELECT {id_} AS id, {t} AS t FROM many.public.x WHERE {id_} < 30")
    try:
        plan = explained(attached, OVER.format("seen"))
        assert " JOIN " in plan["source pg"] and "each table is read by itself" not in plan.get("computed here", "")
        found = pushed_and_not(attached, OVER.format("seen"))
        assert len(found) == 30 and all(row[0] == f"a;'{row[0][3:-2]}\n\\" for row in found)
        joined = "SELECT a.id AS one, b.id AS two, b.t FROM seen AS a FULL JOIN seen AS b ON a.id = b.id - 20"
        assert len(pushed_and_not(attached, joined)) == 50
    finally:
        attached.execute("DROP VIEW seen")
        attached.execute("DETACH many")


def test_a_view_reads_the_same_files_cut_or_not(attached: Connection, tmp_path: Path) -> None:
    write_files(tmp_path, "parquet")
    attached.execute("ATTACH ? AS many", (str(tmp_path),))
    attached.execute("CREATE VIEW seen AS SELECT * FROM many.public.x")
    try:
        assert len(pushed_and_not(attached, OVER.format("seen"))) == 40
        pq.write_table(pa.table({"id": [40, 41], "t": ["new", "newer"]}), tmp_path / "x" / "2.parquet")
        assert len(pushed_and_not(attached, OVER.format("seen"))) == 40
        assert len(pushed_and_not(attached, OVER.format("many.public.x"))) == 42
    finally:
        attached.execute("DROP VIEW seen")
        attached.execute("DETACH many")
