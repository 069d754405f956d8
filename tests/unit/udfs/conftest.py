"""A DataFusion session with the functions loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionContext

from jammi_sql.dialect.defaults import default_edits
from jammi_sql.dialect.rewriting import Rewriting
from jammi_sql.dialect.tokens import tokenize
from jammi_sql.engine.functions import FunctionLibrary
from jammi_sql.function import error_of_function
from jammi_sql.tenancy import TenantId


class Sql:
    """Runs SQL with a library's functions and raises what they raised."""

    def __init__(self, folder: Path | None = None) -> None:
        self.tenant: TenantId | None = None
        self.library = FunctionLibrary.load(folder)
        self.context = SessionContext()
        self.library.register(self.context, self)

    def table(self, text: str) -> pa.Table:
        try:
            edits = default_edits(tokenize(text), self.library.defaults)
            return self.context.sql(Rewriting(text, edits).fragment(0, len(text)).text).to_arrow_table()
        except Exception as error:
            raise error_of_function(error) or error from None

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.table(text).to_pylist()]

    def value(self, expression: str, **arguments: Any) -> Any:
        """One value; ``arguments`` are columns of one row."""
        return self.column(expression, **{name: [value] for name, value in arguments.items()})[0]

    def column(self, expression: str, **columns: Any) -> list[Any]:
        """The expression over a table of ``columns``, in their order; one row without columns."""
        if not columns:
            return [row[0] for row in self.rows(f"SELECT {expression} AS x")]
        data = {name: column if isinstance(column, pa.Array) else pa.array(column) for name, column in columns.items()}
        self.context.deregister_table("given")
        self.context.register_record_batches("given", [[pa.record_batch(data)]])
        return [row[0] for row in self.rows(f"SELECT {expression} AS x FROM given")]


@pytest.fixture
def sql() -> Sql:
    """A session with the shipped functions."""
    return Sql()
