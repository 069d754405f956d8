"""The prompt of a real terminal, on prompt_toolkit: completion, painting, several lines, history."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.filters import Condition, completion_is_selected
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from .catalogue import Catalogue
from .completion import StatementCompleter
from .highlighting import STYLE, StatementLexer
from .narration import say

__all__ = ["Prompt", "history_path"]


class Prompt:
    """Reads one input at a time. Enter runs a command, and what ends with ``;``; else it begins a line."""

    def __init__(
        self,
        catalogue: Catalogue,
        commands: Iterable[tuple[str, str]],
        arguments: Callable[[str], Iterable[str] | None],
        complete: Callable[[str], bool],
    ) -> None:
        self._complete = complete
        self._catalogue = catalogue
        self._completer = StatementCompleter(catalogue, commands, arguments)
        self._session: PromptSession[str] = PromptSession(
            history=_history(),
            lexer=StatementLexer(),
            style=STYLE,
            include_default_pygments_style=False,
            completer=self._completer,
            complete_while_typing=True,
            complete_in_thread=True,  # an attached database may be slow to tell its tables
            multiline=True,
            key_bindings=self._keys(),
            prompt_continuation=_continued,
        )

    def read(self, prompt: str) -> str:
        """What was typed. ``EOFError`` at Ctrl-D, ``KeyboardInterrupt`` at Ctrl-C."""
        try:
            return self._session.prompt(prompt)
        finally:
            self._catalogue.abandon()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("tab", filter=~completion_is_selected)
        def complete(event: KeyPressEvent) -> None:
            event.app.create_background_task(self._fill_in(event.current_buffer))

        @keys.add("enter", filter=completion_is_selected)
        def take(event: KeyPressEvent) -> None:
            event.current_buffer.complete_state = None

        @keys.add("enter", filter=~completion_is_selected & Condition(self._ready))
        def run(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        return keys

    async def _fill_in(self, buffer: Buffer) -> None:
        """Write what all suggestions have in common, or go through them.

        prompt_toolkit's own Tab does nothing while the suggestions of the last letter are still being looked up.
        """
        document = buffer.document
        wanted = CompleteEvent(completion_requested=True)
        found = await asyncio.to_thread(lambda: list(self._completer.get_completions(document, wanted)))
        if buffer.document != document or not found:
            return  # the person has typed on
        common = get_common_complete_suffix(document, found)
        if len(found) == 1:
            buffer.apply_completion(found[0])
        elif common:
            buffer.insert_text(common)
        elif buffer.complete_state is None:
            buffer.start_completion()
        else:
            buffer.complete_next()

    def _ready(self) -> bool:
        app = get_app()
        # While the history is searched, Enter takes what was found.
        return app.layout.has_focus(self._session.default_buffer) and self._complete(app.current_buffer.text)


def _continued(width: int, line: int, wraps: int) -> str:
    """What stands before a line that goes on: nothing where it is only the screen that is not wide enough."""
    return " " * width if wraps else "   ...> ".rjust(width)


def history_path() -> Path | None:
    """Where the history is kept: ``$JAMMI_SQL_HISTORY``, which may be empty for nowhere, else a file of the user's.

    ``RuntimeError`` where the user has no home.
    """
    chosen = os.environ.get("JAMMI_SQL_HISTORY")
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "jammi-sql" / "history"


def _history() -> History:
    try:
        path = history_path()
    except RuntimeError:
        say("the history is not kept: the user has no home; JAMMI_SQL_HISTORY may name a file")
        return InMemoryHistory()
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # what is typed may be confidential
        with open(path, "ab"):
            pass
    except OSError as error:
        say(f"the history is not kept: {path}: {error.strerror}")
        return InMemoryHistory()
    return FileHistory(str(path))
