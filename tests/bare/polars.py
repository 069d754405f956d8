"""Stands before the real polars in the processes that tests start: see ``tests.conftest``."""

raise ImportError("processes that tests start have no polars")
