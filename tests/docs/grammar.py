r"""The grammar that ``\h`` shows, read out of the reference.

``python tests/docs/grammar.py > jammi_sql/console/grammar.txt`` writes it anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

__all__ = ["SHIPPED", "grammar"]

_ROOT = Path(__file__).parents[2]
_PAGES = ("statements.md", "tables.md", "subscribe.md")
SHIPPED = _ROOT / "jammi_sql" / "console" / "grammar.txt"

_HEADING = re.compile(r"^#{1,2} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


def grammar() -> str:
    """``## statement``, its grammar indented, an empty line and what it does, for every statement of the reference."""
    found: dict[str, list[str]] = {}
    for page in _PAGES:
        parts = _HEADING.split((_ROOT / "docs" / "reference" / page).read_text("utf-8"))
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            lines = body.strip("\n").splitlines()
            block = _block(lines)
            if not block and heading != "SELECT":
                continue
            rest = "\n".join(lines[len(block) :]).removeprefix("```").strip()
            text = "\n".join(f"    {line.removeprefix('    ')}".rstrip() for line in block if line != "```text")
            prose = _LINK.sub(r"\1", rest.split("\n\n")[0])
            said = prose if prose[:1] not in ("`", "|", "-", "#") else ""
            found.setdefault(heading, []).append("\n\n".join(part for part in (text, said) if part))
    return "\n\n".join(f"## {heading}\n" + "\n\n".join(texts) for heading, texts in found.items()) + "\n"


def _block(lines: Sequence[str]) -> list[str]:
    """The lines of the grammar that a section begins with: indented ones, or those of a block of text."""
    if lines[:1] == ["```text"]:
        return list(takewhile(lambda line: line != "```", lines))
    return list(takewhile(lambda line: line.startswith("    "), lines))


if __name__ == "__main__":
    sys.stdout.write(grammar())
