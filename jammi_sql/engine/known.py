"""What a session need not find out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..dialect import statements
from ..ports import Transaction
from ..tables.catalog import CatalogTable
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic
from ..topics.remembered import Remembered

__all__ = ["REMEMBERED_TEXT", "Known"]

REMEMBERED_TEXT = 4096
"""Characters of a statement that is kept at most: programs send the same short ones again and again."""
_REMEMBERED = 512
_V = TypeVar("_V")
Path = tuple[str, str]
Change = statements.Insert | statements.Update | statements.Delete


class Known:
    """What names led to when they were last looked up to write there, and what was worked out from statements.

    A relation may have been changed since, so whoever uses it lets the store check it, within a statement that is needed
    anyway. Only what is committed is kept, for what a rollback takes back may come again as something else; and only the
    tenant's own, for nothing can come before that later.
    """

    def __init__(self) -> None:
        self._relations: Remembered[tuple[TenantId | None, Path], CatalogTopic | CatalogTable] = Remembered(_REMEMBERED)
        self._derived: Remembered[tuple[int, int], tuple[object, object, Any]] = Remembered(_REMEMBERED)

    def relation(self, tenant: TenantId | None, path: Path) -> CatalogTopic | CatalogTable | None:
        """What the path, schema and name, led to."""
        return self._relations.get((tenant, path))

    def keep(
        self, transaction: Transaction, tenant: TenantId | None, path: Path, relation: CatalogTopic | CatalogTable
    ) -> None:
        """``relation`` was found in ``transaction``."""
        if relation.definition.tenant == tenant:
            transaction.after_commit(lambda: self._relations.__setitem__((tenant, path), relation))

    def derived(self, statement: Change, owner: object, derive: Callable[[], _V]) -> _V:
        """``derive()``, or what it answered for the same two objects before, which are kept as well: by identity."""
        if len(statement.body.body.text) > REMEMBERED_TEXT:
            return derive()  # it is parsed anew each time
        key = id(statement), id(owner)
        entry = self._derived.get(key)
        if entry is None:
            entry = self._derived[key] = statement, owner, derive()
        result: _V = entry[2]
        return result
