"""Credentials that an attachment names and does not hold."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import InvalidParameter

__all__ = ["follow"]


def follow(name: str, reference: str | None) -> str | None:
    """What ``env:NAME`` or ``file:path`` leads to; ``InvalidParameter``, without the value, where it leads to nothing."""
    if reference is None:
        return None
    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = os.environ.get(rest)
        if value is None:
            raise InvalidParameter(
                f"{name}: there is no environment variable {rest}", hint="set it where the engine runs"
            )
        return value
    try:
        return Path(rest).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidParameter(f"{name}: {rest} cannot be read: {error.strerror}", hint="check the path") from error
