"""DuckDB's side of the TPC-H comparison, with its extensions for PostgreSQL and SQLite; runs in an environment of its own.

Tasks on standard input, one a line with tabs between: ``attach folder url``, ``queries``, ``run number``. Answers in JSON.
"""

from __future__ import annotations

import json
import sys
import time

import duckdb
from duckdb_extensions import import_extension  # type: ignore[import-not-found] # only where this script runs


def main() -> None:
    """Serve until standard input ends."""
    connection = duckdb.connect()
    for extension in ("tpch", "postgres_scanner", "sqlite_scanner"):
        import_extension(extension, con=connection)
        connection.execute(f"LOAD {extension}")
    queries: dict[int, str] = dict(connection.execute("SELECT query_nr, query FROM tpch_queries()").fetchall())
    for line in sys.stdin:
        task, *arguments = line.rstrip("\n").split("\t")
        if task == "attach":
            folder, url = arguments
            connection.execute(f"ATTACH '{url}' AS pg (TYPE postgres, READ_ONLY)")
            connection.execute(f"ATTACH '{folder}/part.db' AS lite (TYPE sqlite, READ_ONLY)")
            for name in ("orders", "customer"):
                connection.execute(f"CREATE VIEW {name} AS SELECT * FROM pg.public.{name}")
            for name in ("part", "partsupp", "supplier"):
                connection.execute(f"CREATE VIEW {name} AS SELECT * FROM lite.main.{name}")
            connection.execute(f"CREATE VIEW lineitem AS SELECT * FROM '{folder}/lineitem.parquet'")
            for name in ("nation", "region"):
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{folder}/{name}.parquet'")
            print(json.dumps(None), flush=True)
        elif task == "queries":
            print(json.dumps(queries), flush=True)
        else:
            begun = time.perf_counter()
            connection.execute(queries[int(arguments[0])]).fetchall()
            print(json.dumps(time.perf_counter() - begun), flush=True)


main()
