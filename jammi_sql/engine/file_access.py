"""Which files of the machine a session may read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from datafusion import SessionConfig, SessionContext

from ..shutdown import calling
from .access import place_of_text

if TYPE_CHECKING:
    from .session import Session

__all__ = ["PLAIN_TEXT", "named_file", "readable"]

PLAIN_TEXT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "datafusion.sql_parser.map_string_types_to_utf8view": "false",
        "datafusion.execution.parquet.schema_force_view_types": "false",
    }
)
"""Options with which text is ``utf8``: not all that reads it knows ``string_view``, pyarrow's own kernels included."""


def readable(session: Session) -> Callable[[str], None]:
    """Raises for a path, its symbolic links resolved, or a remote location, that the session may not read."""
    return _everything if session.access is None else session.access.files


def _everything(path: str) -> None:
    """All are open to whoever runs the process."""


def named_file(session: Session, name: str) -> Any:
    """The file that a query names in place of a relation, for a session that may not read all of them.

    ``None`` where the name is none of a single file; raises for one that it may not read. Elsewhere DataFusion finds it.
    """
    read = _READERS.get(os.path.splitext(name)[1].lower())
    if session.access is None or read is None or ("/" not in name and not os.path.isfile(name)):
        return None
    place = place_of_text(name)
    session.access.covered(place)
    if not os.path.isfile(place):
        return None
    found: list[Any] = []

    def view() -> None:
        with calling():
            found.append(getattr(SessionContext(SessionConfig(dict(PLAIN_TEXT))), read)(place).into_view())

    # DataFusion asks for this name in the midst of planning, and must not be called on the same thread.
    thread = threading.Thread(target=view)
    thread.start()
    thread.join()
    return found[0] if found else None


_READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".json": "read_json", ".avro": "read_avro"}
