"""The contract of an attached database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

import pyarrow as pa

from .relation import RemoteColumn, RemoteRelation

__all__ = ["Check", "IngestMode", "RemoteScan", "Source"]

Check = Callable[[], None]
"""Called some five times a second while a source is waited for; what it raises ends the wait, and the work there."""
IngestMode = Literal["create", "append"]


class RemoteScan(Protocol):
    """One or several texts that are being read, all as of one moment of the source."""

    def stream(self, part: int) -> Iterator[pa.RecordBatch]:
        """The rows of the text with that index, each batch with exactly the scan's schema.

        Parts MAY be read by different threads at once. A text is sent when its first batch is asked for. Memory is bounded
        by a few batches per part. Raises ``DataError`` for a value that has no place in the schema's type, and names the
        column; errors of the source come in their PEP 249 class with its SQLSTATE, its name, and no credentials.
        A connection lost before the first row of a single part is tried again, later ones are raised (08006).
        """
        ...

    def close(self) -> None:
        """Stop what is still read, there too, within a second. From any thread; MUST NOT raise, MAY be called twice."""
        ...


class Source(Protocol):
    """An attached database. MUST be usable from several threads; MUST NOT connect before it is asked something."""

    @property
    def kind(self) -> str:
        """As in its definition."""
        ...

    dialect: str | None
    """In which queries are pushed: ``postgres``, ``sqlite``, ``duckdb``, ``datafusion``. ``None``: columns are read, all
    else is computed here."""
    location: str
    """For messages: never with credentials."""
    quote: str
    """The character that stands around identifiers and is doubled within them."""

    def schemas(self) -> list[str]:
        """Their names, sorted; the database's own system schemas are left out."""
        ...

    def relation_names(self, schema: str) -> list[str]:
        """Tables and views of a schema, sorted; empty for an unknown one."""
        ...

    def relation(self, schema: str, name: str) -> RemoteRelation | None:
        """Columns, estimates and keys of a table or view. Remembered for a short while (a minute at most) when found;
        one that is not there is asked for again, so that a table which appears later is found."""
        ...

    def refresh(self) -> bool:
        """Forget what is remembered; whether there was something."""
        ...

    def partitions(self, relation: RemoteRelation, alias: str, most: int) -> list[str]:
        """Conditions in the source's dialect, over the relation named ``alias`` (quoted already), that part its rows into
        at most ``most`` shares of similar size, to be read in parallel. Empty where that does not pay or is not known."""
        ...

    def scan(self, texts: Sequence[str], schema: pa.Schema, check: Check, *, of_a_user: bool = False) -> RemoteScan:
        """Read queries in the source's own dialect, which all have the columns of ``schema``, in order; values are cast to
        its types exactly or refused. Several texts where ``partitions`` gave several conditions, else 0A000.

        A text ``of_a_user`` may leave its session with other settings or another role: no one else MUST get that session."""
        ...

    def describe(self, text: str, check: Check) -> tuple[RemoteColumn, ...]:
        """The columns of a query in the source's own dialect, without running it where the source can do so. Used for
        ``remote_query``; they are as those of a table, and are read from ``(text) AS alias`` as a table's are: by ``read``."""
        ...

    def execute(self, texts: Sequence[str], check: Check) -> int:
        """Run statements in one transaction of the source's own, and commit. Returns the rows that the last one wrote,
        -1 where the source does not tell. ``OperationalError`` 08007 where the connection was lost in the commit."""
        ...

    def ingest(self, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode, check: Check) -> int:
        """Write rows into a table in one transaction of the source's own, and commit; with ``create`` it is made, with the
        source's nearest types. Types that the source cannot keep exactly are ``NotSupportedError``. Returns the rows."""
        ...

    def close(self) -> None:
        """Give its connections back. MAY be called twice."""
        ...
