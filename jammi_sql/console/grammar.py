r"""The language's own help, ``\h``: the grammar of each statement, as the reference has it."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

__all__ = ["explained", "statement_names"]

_BROKEN = re.compile(r"(?<!\n)\n(?=\S)")  # a line end inside of a paragraph


def statement_names() -> list[str]:
    """The headings of the reference, of which some name several statements."""
    return list(_sections())


def explained(words: str) -> str:
    """Grammar and meaning of the statements that ``words`` begin or occur in; empty where there are none."""
    wanted = " ".join(words.upper().rstrip(";").split())
    sections = _sections()
    exact = [name for name in sections if wanted in (part.strip() for part in name.upper().split(","))]
    begun = [name for name in sections if any(part.strip().startswith(wanted) for part in name.upper().split(","))]
    chosen = exact or begun or [name for name in sections if wanted in name.upper()]
    return "\n\n".join(f"{name}\n{_BROKEN.sub(' ', sections[name])}" for name in chosen)


@cache
def _sections() -> dict[str, str]:
    text = resources.files("jammi_sql.console").joinpath("grammar.txt").read_text(encoding="utf-8")
    sections: dict[str, str] = {}
    for part in text.removeprefix("## ").split("\n## "):
        name, _, body = part.partition("\n")
        sections[name] = body.rstrip()
    return sections
