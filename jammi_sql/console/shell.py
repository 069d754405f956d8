"""The console with a person in front of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Protocol

from ..dialect import parse
from ..errors import Error
from .catalogue import Catalogue
from .commands import COMMANDS, Commands
from .narration import say
from .script import Script
from .viewer import Viewer

__all__ = ["interact", "is_complete", "parts"]

_PROMPT, _IN_TRANSACTION, _CONTINUED = "jammi> ", "jammi*> ", "   ...> "
_STUCK = "cancelled; the engine is still busy with it, and statements wait until it has ended"
_LEAVING = frozenset({"quit", "exit"})


class Reader(Protocol):
    """Where inputs come from."""

    def read(self, prompt: str) -> str:
        """A command, or whole statements. Raises ``EOFError`` at the end, ``KeyboardInterrupt`` to drop what was typed."""
        ...


def interact(viewer: Viewer) -> None:
    """Read statements and commands and run them, until the end of input or ``\\q``."""
    try:
        _interact(viewer)
    finally:
        viewer.close()


def _interact(viewer: Viewer) -> None:
    commands = Commands(viewer)
    say("jammi-sql. \\? for help, \\q to leave.")
    reader: Reader = _LineReader()
    catalogue: Catalogue | None = None
    if _is_real_terminal():
        from .prompt import Prompt  # noqa: PLC0415 - prompt_toolkit is for terminals

        catalogue = Catalogue(viewer.connection)
        described = [(command.name, command.meaning) for command in COMMANDS]
        reader = Prompt(catalogue, described, commands.arguments, is_complete)
    while True:
        try:
            text = reader.read(_IN_TRANSACTION if viewer.statements.in_transaction else _PROMPT)
        except EOFError:
            say("")
            return
        except KeyboardInterrupt:
            say("")
            continue
        for part in parts(text):
            word = part.strip().lower().rstrip("; \n")
            if word == "\\q" or word in _LEAVING:
                return
            if word and not _run(viewer, commands, part if word != "help" else "\\?"):
                break
        if catalogue is not None and text.strip("; \n"):
            catalogue.forget()  # it may have changed what there is


def parts(text: str) -> Iterator[str]:
    """What was typed, or pasted at once, one after the other: statements, and commands, each a line between them."""
    before: list[str] = []
    for line in text.split("\n"):
        held = "\n".join(before)
        if not line.lstrip().startswith("\\") or (held.strip() and not is_complete(held)):
            before.append(line)
            continue
        if held.strip():
            yield held
        before = []
        yield line
    held = "\n".join(before)
    if held.strip():
        yield held


def is_complete(text: str) -> bool:
    """Whether what was typed can be run: nothing, a command, or statements of which the last one ends with ``;``."""
    word = text.strip()
    if word.startswith("\\"):
        *_, last = parts(text)
        return last.lstrip().startswith("\\") or is_complete(last)
    if word.lower().rstrip(";") in _LEAVING | {"help"}:
        return True
    try:
        statements = parse(text)
    except Error:
        return text.rstrip().endswith(";")  # an open quote or comment goes on; what is plainly wrong is shown
    return not statements or statements[-1].position + len(statements[-1].text) < len(text)


def _run(viewer: Viewer, commands: Commands, text: str) -> bool:
    """Run a part of what was typed; whether the rest is to be run."""
    try:
        if not text.lstrip().startswith("\\"):
            return viewer.run(Script(text))
        commands.run(text)
        return True
    except OSError as error:
        # Of a file that results go to; closing it would try again.
        say(f"the results cannot be written: {error.strerror}")
        viewer.drop_file()
        return False
    except KeyboardInterrupt:
        say(_STUCK if viewer.statements.stuck else "cancelled")
        return False


def _is_real_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class _LineReader:
    """Lines without any help, for terminals that can do no more."""

    def __init__(self) -> None:
        try:
            import readline  # noqa: F401, PLC0415 - gives input() its history; not on every platform
        except ImportError:
            pass

    def read(self, prompt: str) -> str:
        """One input, line by line."""
        typed: list[str] = []
        while True:
            typed.append(self._line(_CONTINUED if typed else prompt))
            text = "\n".join(typed)
            if is_complete(text):
                return text

    def _line(self, prompt: str) -> str:
        if sys.stdout.isatty():
            return input(prompt)
        print(prompt, end="", file=sys.stderr, flush=True)  # standard output is for data
        return input()
