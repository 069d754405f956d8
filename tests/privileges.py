"""What a user without privileges may do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["unprivileged"]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions do not bind root, so be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
