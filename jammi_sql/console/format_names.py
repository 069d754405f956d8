"""What --format takes, for those who do not load the formats for it."""

from __future__ import annotations

from typing import Final

__all__ = ["FORMAT_NAMES"]

FORMAT_NAMES: Final = ("table", "csv", "json", "jsonl", "parquet", "arrow", "markdown")
