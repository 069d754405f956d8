"""A console on a real terminal, typed into, and its screen as a person sees it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType

import pexpect
import pyte

__all__ = ["Terminal"]

_PROGRAM = "import sys; from jammi_sql.console.main import main; sys.exit(main())"
_PATIENCE = 30.0  # seconds that a screen may take on a busy machine; no test waits so long for what it wants


class Terminal:
    """``type`` keys, ``wait`` for a screen; ``lines`` is what is on it, without what is empty at the end."""

    def __init__(self, *arguments: str, columns: int = 80, rows: int = 45, **environment: str) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        # Without a terminal emulator's answers prompt_toolkit would wait for the cursor's position.
        fixed = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "JAMMI_SQL_HISTORY": "", "PAGER": ""}
        inherited = {
            name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "LESS", "LINES", "COLUMNS"}
        }
        self._child = pexpect.spawn(
            sys.executable,
            ["-c", _PROGRAM, *arguments],
            dimensions=(rows, columns),
            env={**inherited, **fixed, **environment},
        )

    @property
    def lines(self) -> list[str]:
        """The screen."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def style(self, row: int, column: int) -> tuple[str, bool]:
        """The colour of a character, and whether it is bold."""
        shown = self._screen.buffer[row][column]
        return shown.fg, shown.bold

    def type(self, keys: str) -> None:
        """Press keys; Enter is ``\\r``, Tab ``\\t``, Ctrl-C ``\\x03``."""
        self._child.send(keys)

    def wait(self, condition: Callable[[list[str]], bool], what: str = "") -> list[str]:
        """Read until the screen is as wanted, and give it."""
        end = time.monotonic() + _PATIENCE
        while not condition(self.lines):
            if time.monotonic() > end:
                raise AssertionError(f"{what or 'the screen'} did not come:\n" + "\n".join(self.lines))
            try:
                self._stream.feed(self._child.read_nonblocking(65_536, 0.05))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                if condition(self.lines):
                    break
                raise AssertionError("the console ended:\n" + "\n".join(self.lines)) from None
        return self.lines

    def wait_for(self, text: str) -> list[str]:
        """Read until a line has the text."""
        return self.wait(lambda lines: any(text in line for line in lines), repr(text))

    def wait_for_prompt(self) -> list[str]:
        """Read until the last line is an empty prompt."""
        return self.wait(lambda lines: bool(lines) and lines[-1] == "jammi>", "the prompt")

    def run(self, text: str) -> list[str]:
        """Type an input on a fresh screen and give what came between it and the next prompt."""
        self.fresh()
        self.type(f"{text}\r")
        lines = self.wait(lambda lines: len(lines) > 1 and lines[-1] == "jammi>", "the next prompt")
        return lines[1:-1]

    def fresh(self) -> None:
        """An empty screen with a prompt, whatever was typed before."""
        self.type("\x03")
        self.wait_for_prompt()
        self.type("\x0c")
        self.wait(lambda lines: lines == ["jammi>"], "an empty screen")

    def ended(self) -> int:
        """Wait for the console to end by itself and give its exit code; ``lines`` is then all that it wrote."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                self._stream.feed(self._child.read_nonblocking(65_536, 0.05))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                self._child.close()
                return int(self._child.exitstatus)
        raise AssertionError("the console did not end:\n" + "\n".join(self.lines))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)
