"""jammi-ai's side of the TPC-H comparison; runs in an environment of its own.

Tasks on standard input, one a line with tabs between: ``attach folder url`` and ``run query``, the query as JSON. Answers in
JSON: nothing, ``{"seconds": ..., "rows": ...}`` or ``{"error": ...}`` with the first line of what it says.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from decimal import Decimal

import jammi  # type: ignore[import-not-found] # only where this script runs
import pyarrow as pa
import pyarrow.parquet as pq


def attach(database: jammi.Session, folder: str, url: str) -> None:
    """The eight tables as views. It attaches no SQLite, so what is there for the others is a Parquet file here."""
    database.add_source("pg", url=url)
    places = {name: f"pg.public.{name}" for name in ("orders", "customer")}
    for name in ("lineitem", "part", "partsupp", "supplier", "nation", "region"):
        database.add_source(f"file_{name}", url=f"{folder}/{name}.parquet", format="parquet")
        places[name] = f"file_{name}.public.{name}"
    for name, key in (("nation", "n_nationkey"), ("region", "r_regionkey")):
        found = pq.read_schema(f"{folder}/{name}.parquet")
        fields = [(field.name, pa.string() if pa.types.is_string_view(field.type) else field.type) for field in found]
        database.create_mutable_table(name, schema=pa.schema(fields), primary_key=[key])
        database.sql(f"INSERT INTO mutable.public.{name} SELECT * FROM {places[name]}")
        places[name] = f"mutable.public.{name}"
    for name, place in places.items():
        database.sql(f"CREATE VIEW {name} AS SELECT * FROM {place}")


def run(database: jammi.Session, text: str) -> dict[str, object]:
    """The rows and how long they took, as Python's values as everywhere in this comparison."""
    begun = time.perf_counter()
    try:
        table = database.sql(text)
    except jammi.JammiError as error:
        return {"error": str(error).splitlines()[0]}
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return {"seconds": time.perf_counter() - begun, "rows": rows}


def plain(value: object) -> float | str:
    """What JSON has no form for: decimals as numbers, dates as text."""
    return float(value) if isinstance(value, Decimal) else str(value)


def main() -> None:
    """Serve until standard input ends."""
    with tempfile.TemporaryDirectory() as folder, jammi.connect(f"file://{folder}") as database:
        for line in sys.stdin:
            task, *arguments = line.rstrip("\n").split("\t")
            answer = attach(database, *arguments) if task == "attach" else run(database, json.loads(arguments[0]))
            print(json.dumps(answer, default=plain), flush=True)


main()
