"""The console with a person in front of it."""

from __future__ import annotations

from ..dialect import parse
from ..errors import Error
from .narration import say
from .runner import Runner
from .script import Script

__all__ = ["interact", "is_complete"]

_HELP = """\
Statements end with ; and may take several lines.
  \\q   leave (or Ctrl-D)
  \\?   this text
Ctrl-C ends the running statement, or drops what was typed."""


_LEAVING = frozenset({"quit", "exit"})


def interact(runner: Runner) -> None:
    """Read statements and run them, until the end of input or ``\\q``."""
    try:
        import readline  # noqa: F401, PLC0415 - gives input() its history; not on every platform
    except ImportError:
        pass
    say("jammi-sql. \\? for help, \\q to leave.")
    typed: list[str] = []
    while True:
        try:
            line = input("   ...> " if typed else "jammi> ")
        except EOFError:
            say("")
            return
        except KeyboardInterrupt:
            say("")
            typed.clear()
            continue
        if not typed and line.lstrip().startswith("\\"):
            if line.strip() == "\\q":
                return
            say(_HELP if line.strip() == "\\?" else f"{line.split()[0]} is not built yet; \\? for help")
            continue
        if not typed and line.strip().lower().rstrip(";") in _LEAVING:
            return
        if not typed and line.strip().lower().rstrip(";") == "help":
            say(_HELP)
            continue
        typed.append(line)
        text = "\n".join(typed)
        if is_complete(text):
            typed.clear()
            _run(runner, text)


def is_complete(text: str) -> bool:
    """Whether what was typed can be run: nothing, or statements of which the last one ends with ``;``."""
    try:
        statements = parse(text)
    except Error:
        return text.rstrip().endswith(";")  # an open quote or comment goes on; what is plainly wrong is shown
    return not statements or statements[-1].position + len(statements[-1].text) < len(text)


def _run(runner: Runner, text: str) -> None:
    try:
        runner.run(Script(text))
    except KeyboardInterrupt:
        say("cancelled")
