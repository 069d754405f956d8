"""The messages of Arrow Flight and Flight SQL, and our own beside them.

Their classes are made at run time, of descriptors in a pool of their own: a process may hold other copies of the same
protocol, and one pool takes a name once only. ``flight.proto``, ``flight_sql.proto`` and ``session.proto`` are the source.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet

__all__ = ["flight", "session", "sql", "unwrap", "wrap"]

_TYPE: Final = "type.googleapis.com/"
_PACKAGE: Final = "arrow.flight.protocol.sql."


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(files(__package__).joinpath("protocol.binpb").read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


class _Messages:
    """The message classes of a package, by name."""

    def __init__(self, pool: Any, package: str) -> None:
        self._pool = pool
        self._package = package

    def __getattr__(self, name: str) -> Any:
        try:
            descriptor = self._pool.FindMessageTypeByName(f"{self._package}.{name}")
        except KeyError:
            raise AttributeError(f"{self._package} has no message {name}") from None
        found = message_factory.GetMessageClass(descriptor)
        setattr(self, name, found)
        return found


_descriptors: Final = _pool()
flight: Any = _Messages(_descriptors, "arrow.flight.protocol")
"""The messages of ``arrow.flight.protocol``, as attributes."""
sql: Any = _Messages(_descriptors, "arrow.flight.protocol.sql")
"""Those of ``arrow.flight.protocol.sql``."""
session: Any = _Messages(_descriptors, "jammi.session")
"""Those of our own clients."""


def wrap(message: Any) -> bytes:
    """A message with its type, as commands, tickets and the results of actions are sent."""
    wrapped: bytes = sql.Wrapped(
        type_url=_TYPE + message.DESCRIPTOR.full_name, value=message.SerializeToString()
    ).SerializeToString()
    return wrapped


def unwrap(data: bytes) -> Any:
    """The message of Flight SQL in ``data``; ``ValueError`` for what is none."""
    try:
        wrapped = sql.Wrapped.FromString(data)
        name = wrapped.type_url.removeprefix(_TYPE)
        if not name.startswith(_PACKAGE):
            raise ValueError("no command of Flight SQL")
        return getattr(sql, name.removeprefix(_PACKAGE)).FromString(wrapped.value)
    except AttributeError:
        raise ValueError("no command of Flight SQL that is known here") from None
    except Exception as error:  # protobuf's own error has no public name in every implementation of it
        raise ValueError("no command of Flight SQL") from error
