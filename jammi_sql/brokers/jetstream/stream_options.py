"""How a topic's stream is kept by the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from ...errors import InvalidParameter
from ...topics.retention import AGE, parse_age

__all__ = ["DEFAULT_AGE", "DEFAULT_MESSAGES", "StreamOptions"]

DEFAULT_AGE: Final = 3600.0
"""Seconds that the server keeps a message. The log keeps it, so nobody of this package needs it for longer than a moment."""
DEFAULT_MESSAGES: Final = 10_000
"""Not a limit in bytes: the server sets these aside for each stream, and takes no more streams once nothing is left."""
_DUPLICATES: Final = 120.0
"""Seconds in which the server recognises a message that is sent again."""
_SHORTEST_AGE: Final = 0.1
"""What the server takes at least."""

MAX_AGE = "jetstream_max_age"
MAX_BYTES = "jetstream_max_bytes"
MAX_MESSAGES = "jetstream_max_messages"
STORAGE = "jetstream_storage"
REPLICAS = "jetstream_replicas"
RETENTION = "jetstream_retention"
_STORAGES = ("file", "memory")
_RETENTIONS = ("limits", "interest")
_MOST_REPLICAS = 5


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What the server is asked for; ``None`` where the topic says nothing, and what is there stays.

    ``max_age`` in seconds, 0 for no limit; ``max_bytes`` and ``max_messages`` -1 for no limit.
    """

    max_age: float | None = None
    max_bytes: int | None = None
    max_messages: int | None = None
    storage: str | None = None
    replicas: int | None = None
    retention: str | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Self:
        """What a topic's options say; others than those named ``jetstream_...`` here are nothing to it.

        A topic that forgets after less than an hour has the server forget as well. ``InvalidParameter`` (22023) names
        an option with a wrong value.
        """
        return cls(**{name: parse(metadata) for name, parse in _PARSERS.items()})

    @classmethod
    def sound(cls, metadata: Mapping[str, str]) -> tuple[Self, list[InvalidParameter]]:
        """The same with the wrong ones left out, and what is wrong with them."""
        values: dict[str, Any] = {}
        wrong: list[InvalidParameter] = []
        for name, parse in _PARSERS.items():
            try:
                values[name] = parse(metadata)
            except InvalidParameter as error:
                wrong.append(error)
        return cls(**values), wrong

    @property
    def wanted(self) -> dict[str, object]:
        """What the topic asks for, by the server's names."""
        wanted: dict[str, object] = {}
        if self.max_age is not None:
            wanted["max_age"] = self.max_age
            # The server refuses to remember messages for longer than it keeps them.
            wanted["duplicate_window"] = min(_DUPLICATES, self.max_age or _DUPLICATES)
        if self.max_bytes is not None:
            wanted["max_bytes"] = self.max_bytes
        if self.max_messages is not None:
            wanted["max_msgs"] = self.max_messages
        if self.storage is not None:
            wanted["storage"] = self.storage
        if self.replicas is not None:
            wanted["num_replicas"] = self.replicas
        if self.retention is not None:
            wanted["retention"] = self.retention
        return wanted

    @property
    def complete(self) -> dict[str, object]:
        """The same for a stream that is not there yet, with the defaults."""
        return {
            "max_age": DEFAULT_AGE,
            "duplicate_window": _DUPLICATES,
            "max_bytes": -1,
            "max_msgs": DEFAULT_MESSAGES,
            "storage": "file",
            "num_replicas": 1,
            "retention": "limits",
            **self.wanted,
        }


def _age(metadata: Mapping[str, str]) -> float | None:
    text = metadata.get(MAX_AGE)
    if text is None:
        try:
            kept = parse_age(metadata[AGE], AGE) if AGE in metadata else None
        except InvalidParameter:  # the engine has said so
            kept = None
        seconds = None if kept is None else kept / 1e6
        return None if seconds is None or seconds >= DEFAULT_AGE else max(seconds, _SHORTEST_AGE)
    micros = parse_age(text, MAX_AGE)
    if micros is None:
        return 0.0
    if micros / 1e6 < _SHORTEST_AGE:
        raise InvalidParameter(f"{MAX_AGE} cannot be {text!r}", hint="the server takes 100 ms or more")
    return micros / 1e6


def _integer(metadata: Mapping[str, str], name: str, form: str) -> int | None:
    text = metadata.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 63):
        raise InvalidParameter(f"{name} cannot be {text!r}", hint=f"write {form}")
    return int(text)


def _limit(metadata: Mapping[str, str], name: str, form: str) -> int | None:
    return -1 if metadata.get(name, "").strip().lower() == "unlimited" else _integer(metadata, name, form)


def _choice(metadata: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    text = metadata.get(name)
    if text is None:
        return None
    if text.strip().lower() not in choices:
        raise InvalidParameter(
            f"{name} cannot be {text!r}", hint=f"write {' or '.join(repr(choice) for choice in choices)}"
        )
    return text.strip().lower()


def _replicas(metadata: Mapping[str, str]) -> int | None:
    replicas = _integer(metadata, REPLICAS, "a number from 1 to 5")
    if replicas is not None and replicas > _MOST_REPLICAS:
        raise InvalidParameter(f"{REPLICAS} cannot be '{replicas}'", hint="write a number from 1 to 5")
    return replicas


_PARSERS: Final[dict[str, Callable[[Mapping[str, str]], Any]]] = {
    "max_age": _age,
    "max_bytes": lambda metadata: _limit(metadata, MAX_BYTES, "a number of bytes, or 'unlimited'"),
    "max_messages": lambda metadata: _limit(metadata, MAX_MESSAGES, "a number of messages, or 'unlimited'"),
    "storage": lambda metadata: _choice(metadata, STORAGE, _STORAGES),
    "replicas": _replicas,
    "retention": lambda metadata: _choice(metadata, RETENTION, _RETENTIONS),
}
