"""Schema migrations: forward only, all pending ones in one transaction, agreed upon by all processes.

They are files ``migrations/NNNN_what.<store>.sql`` of ``jammi_sql.sql``. What was applied is recorded in the store's
table ``migration`` with a checksum of the text, so that a store cannot silently differ from what its number says.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from .. import faults
from ..adbc.queries import load_queries
from ..errors import InternalError, ReadOnlyStore, StoreVersionError
from ..ports import NamedQuery, Reader, Store

__all__ = ["Migration", "load_migrations", "migrate", "pending_migrations", "split_statements"]

_FILE: Final = re.compile(r"(\d{4})_(\w+)\.(\w+)\.sql")
_TOKEN: Final = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|(?P<word>\w+)|(?P<end>;)|.""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a store's schema."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text in hexadecimal, line ends not counted."""
        return hashlib.sha256("\n".join(self.text.splitlines()).encode()).hexdigest()


@cache
def load_migrations(store: str) -> tuple[Migration, ...]:
    """The migrations shipped for the store kind ``store``, in order of their numbers."""
    found: dict[int, Migration] = {}
    for file in (resources.files("jammi_sql.sql") / "migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match is None or match.group(3) != store:
            continue
        number = int(match.group(1))
        if number in found:
            raise InternalError(f"two migrations of {store} have the number {number}")
        found[number] = Migration(number, match.group(2), file.read_text(encoding="utf-8"))
    return tuple(found[number] for number in sorted(found))


def pending_migrations(known: Sequence[Migration], applied: Mapping[int, str], location: str) -> tuple[Migration, ...]:
    """Those of ``known`` that are not in ``applied`` (number to checksum).

    Raises ``StoreVersionError`` for a store from a newer version, or one that was made with other texts.
    """
    newest_known = max((migration.number for migration in known), default=0)
    newest_applied = max(applied, default=0)
    if newest_applied > newest_known:
        raise StoreVersionError(
            f"the store {location} has schema version {newest_applied}, this package knows up to {newest_known}",
            hint="upgrade jammi-sql, or open another store",
        )
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise StoreVersionError(
                f"the store {location} was made with another text of migration "
                f"{migration.number:04d}_{migration.name} than this package has",
                hint="use the version of jammi-sql that made the store",
            )
    return tuple(migration for migration in known if migration.number not in applied)


def migrate(store: Store, known: Sequence[Migration]) -> None:
    """Bring the store's schema up to ``known``, in one transaction; costs two reads where nothing is to do.

    Raises ``StoreVersionError`` as ``pending_migrations`` does, ``ReadOnlyStore`` when there is something to do on a
    read-only store.
    """
    queries = load_queries("store", store.kind)
    if not pending_migrations(known, _applied(store, queries), store.location):
        return
    if store.read_only:
        raise ReadOnlyStore(
            f"the store {store.location} has an older schema, and is open read-only",
            hint="open it once without read_only, which brings it up to date",
        )
    with store.begin() as transaction:
        transaction.execute(queries["create_migration_table"])
        # Again under the lock: another process may have been faster.
        for migration in pending_migrations(known, _applied(transaction, queries), store.location):
            for statement in split_statements(migration.text):
                faults.point("store.migrate")
                transaction.script(statement)
            transaction.execute(
                queries["record_migration"],
                (migration.number, migration.name, migration.checksum, time.time_ns() // 1000),
            )


def _applied(reader: Reader, queries: Mapping[str, NamedQuery]) -> dict[int, str]:
    if not reader.query(queries["migration_table"]).column(0)[0].as_py():
        return {}
    rows = reader.query(queries["applied_migrations"])
    return {row["number"]: row["checksum"] for row in rows.to_pylist()}


def split_statements(text: str) -> Iterator[str]:
    """The statements of a script, without their final ``;``.

    A ``;`` ends a statement unless it stands in a literal (PostgreSQL's ``$tag$`` ones too), in a comment, or between BEGIN
    or CASE and its END: so triggers are whole. A column must not have one of these three words as its bare name.
    """
    begin = 0
    depth = 0
    filled = False
    for token in _TOKEN.finditer(text):
        if word := token["word"]:
            filled = True
            depth += {"begin": 1, "case": 1, "end": -1}.get(word.lower(), 0)
        elif token["end"] and depth == 0:
            if filled:
                yield text[begin : token.start()].strip()
            begin, filled = token.end(), False
    if filled:
        yield text[begin:].strip()
