"""What may stand where the cursor is: names of the catalogue, functions, options and keywords."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from ..dialect import format_identifier_path
from ..dialect.tokens import Token, single_tokens, tokenize
from ..errors import StatementSyntaxError
from .catalogue import OWN, Catalogue
from .vocabulary import AFTER_RELATION_WORD, BEFORE_SOURCE, KEYWORDS, SETTING_WORDS, SUBSCRIBE_OPTIONS

__all__ = ["StatementCompleter"]

_BEFORE_RELATION = ("IF", "LATERAL", "SELECT")  # what else may stand where a relation does
_PLACES = ("'earliest'", "'latest'", "TIMESTAMP '")
_RELATION, _COLUMN, _TOPIC, _FUNCTION, _OPTION, _KEYWORD = (
    "relation",
    "column",
    "topic",
    "function",
    "option",
    "keyword",
)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the cursor is: the tokens of its statement before it, the names before its last dot, and what is typed."""

    before: tuple[Token, ...]
    path: tuple[str, ...]
    typed: str
    tokens: tuple[Token, ...]  # of the whole statement, what follows the cursor included


class StatementCompleter(Completer):
    """prompt_toolkit's completer over a catalogue.

    ``commands``: the backslash commands with what they do. ``arguments``: what may follow one, ``None`` for a path.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        commands: Iterable[tuple[str, str]],
        arguments: Callable[[str], Iterable[str] | None],
    ) -> None:
        self._catalogue = catalogue
        self._commands = list(commands)
        self._arguments = arguments
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The suggestions for the word before the cursor."""
        text = document.text_before_cursor
        if text.lstrip().startswith("\\"):
            yield from self._of_command(text.lstrip(), complete_event)
            return
        spot = _spot(document.text, len(text))
        if spot is None:
            return
        if not spot.typed and not spot.path and not complete_event.completion_requested:
            return  # nothing was begun: suggestions would only be in the way
        seen: set[str] = set()
        for candidate, kind in self._candidates(spot):
            fits = candidate.lower().startswith((spot.typed.lower(), f'"{spot.typed.lower()}'))
            if fits and candidate not in seen:
                seen.add(candidate)
                yield Completion(candidate, start_position=-len(spot.typed), display_meta=kind)

    def _of_command(self, text: str, event: CompleteEvent) -> Iterator[Completion]:
        command, space, argument = text.partition(" ")
        if not space:
            for name, meaning in self._commands:
                if name.startswith(command):
                    yield Completion(name, start_position=-len(command), display_meta=meaning)
            return
        if command == "\\d":
            asked = Document(f"DESCRIBE {argument}")
            yield from self.get_completions(asked, event)
            return
        choices = self._catalogue.topics() if command == "\\topics" else self._arguments(command)
        if choices is None:
            yield from self._paths.get_completions(Document(argument), event)
            return
        for choice in choices:
            if choice.lower().startswith(argument.lower()):
                yield Completion(choice, start_position=-len(argument))

    def _candidates(self, spot: _Spot) -> Iterator[tuple[str, str]]:
        call = _open_subscribe(spot.before)
        if call is not None:
            yield from self._of_subscribe(call, spot)
            return
        if len(spot.before) == 1 and spot.before[0].keyword in SETTING_WORDS:
            yield from self._settings(spot)
            return
        if spot.path:
            yield from self._below(spot)
            return
        if spot.before and spot.before[-1].keyword in BEFORE_SOURCE:
            for source in self._catalogue.catalogs()[1:]:
                yield quote_identifier_if_needed(source), "source"
            return
        last = spot.before[-1] if spot.before else None
        if last is not None and last.keyword == "CALL":
            yield f"{OWN}.compact(", _FUNCTION
            return
        if last is not None and last.keyword == "TOPIC":
            for topic in self._catalogue.topics():
                yield topic, _TOPIC
            yield from _keywords(spot.typed, ("IF",))
            return
        if last is not None and (last.keyword in AFTER_RELATION_WORD or _lists_relations(spot.before)):
            if last.keyword == "FROM" and spot.before[0].keyword == "COPY":
                yield from _keywords(spot.typed, ("STDIN",))
                return
            yield from self._relations()
            if last.keyword in {"FROM", "JOIN"}:
                yield "subscribe(", _FUNCTION
                yield "remote_query(", _FUNCTION
            yield from _keywords(spot.typed, _BEFORE_RELATION)
            return
        for path in _relations_in(spot.tokens).values():
            for column in self._catalogue.columns(path):
                yield quote_identifier_if_needed(column), _COLUMN
        if spot.before:
            for alias in _relations_in(spot.tokens):
                yield alias, _RELATION
            for function in self._catalogue.functions():
                yield f"{function}(", _FUNCTION
        yield from _keywords(spot.typed, KEYWORDS)

    def _settings(self, spot: _Spot) -> Iterator[tuple[str, str]]:
        begun = "".join(f"{part}." for part in spot.path)
        for setting in self._catalogue.settings():
            if setting.startswith(begun):
                yield setting.removeprefix(begun), "setting"
        if not begun:
            yield from _keywords(spot.typed, SETTING_WORDS[spot.before[0].keyword])

    def _relations(self) -> Iterator[tuple[str, str]]:
        for name in self._catalogue.relations(OWN, "public"):
            yield quote_identifier_if_needed(name), _RELATION
        for schema in self._catalogue.schemas(OWN):
            if schema != "public":
                yield f"{quote_identifier_if_needed(schema)}.", "schema"
        for catalog in self._catalogue.catalogs():
            yield f"{quote_identifier_if_needed(catalog)}.", "catalog"

    def _below(self, spot: _Spot) -> Iterator[tuple[str, str]]:
        """What is in the thing that the names before the dot stand for."""
        path = spot.path
        relations = _relations_in(spot.tokens)
        written = ".".join(quote_identifier_if_needed(part) for part in path)
        columns = self._catalogue.columns(relations[path[0]]) if len(path) == 1 and path[0] in relations else []
        for column in columns:
            yield quote_identifier_if_needed(column), _COLUMN
        if columns:
            return
        if len(path) == 1 and path[0] in self._catalogue.catalogs():
            for schema in self._catalogue.schemas(path[0]):
                yield f"{quote_identifier_if_needed(schema)}.", "schema"
        if len(path) == 1:
            names = self._catalogue.relations(OWN, path[0])
        elif len(path) == 2:
            names = self._catalogue.relations(path[0], path[1])
        else:
            names = []
        for name in names:
            yield quote_identifier_if_needed(name), _RELATION
        if not names and written in relations.values():
            for column in self._catalogue.columns(written):
                yield quote_identifier_if_needed(column), _COLUMN

    def _of_subscribe(self, arguments: Sequence[Token], spot: _Spot) -> Iterator[tuple[str, str]]:
        last = arguments[-1] if arguments else None
        if last is None:
            for topic in self._catalogue.topics():
                yield f"'{topic}'", _TOPIC
        elif last.text == "=>":
            for place in _PLACES:
                yield place, _OPTION
        elif last.text == ",":
            given = {token.text.lower() for token in arguments if token.kind == "word"}
            for option in SUBSCRIBE_OPTIONS:
                if option not in given:
                    yield f"{option} => ", _OPTION


def quote_identifier_if_needed(name: str) -> str:
    """The name as it must be written: bare where that means the same."""
    return format_identifier_path((name,))


def _keywords(typed: str, words: Iterable[str]) -> Iterator[tuple[str, str]]:
    lower = typed[:1].islower()
    for word in sorted(words):
        yield (word.lower() if lower else word), _KEYWORD


def _spot(text: str, cursor: int) -> _Spot | None:
    """Where the cursor is; ``None`` inside of a comment, and of a text that is no topic's name."""
    typed = ""
    try:
        before = single_tokens(tokenize(text[:cursor]))
    except StatementSyntaxError as error:
        start = error.position or 0
        if text.startswith("/*", start):
            return None
        before = single_tokens(tokenize(text[:start]))
        typed = text[start:cursor]
    else:
        if "--" in text[before[-1].end if before else 0 : cursor].rpartition("\n")[2]:
            return None
        if before and before[-1].kind in {"word", "number", "string"} and before[-1].end == cursor:
            typed = before.pop().text
    try:
        after = single_tokens(tokenize(text[cursor:]))
    except StatementSyntaxError:
        after = []
    begin = max((index + 1 for index, token in enumerate(before) if token.text == ";"), default=0)
    before = before[begin:]
    end = next((index for index, token in enumerate(after) if token.text == ";"), len(after))
    tokens = (*before, *after[:end])
    path: list[str] = []
    while len(before) >= 2 and before[-1].text == "." and before[-2].kind in {"word", "quoted"}:
        before.pop()
        path.insert(0, _name(before.pop()))
    if typed[:1] in {"'", '"', "`"} and _open_subscribe(before) is None and typed[:1] == "'":
        return None  # the inside of a text
    return _Spot(tuple(before), tuple(path), typed, tokens)


def _name(token: Token) -> str:
    if token.kind == "word":
        return token.text.lower()
    return token.text[1:-1].replace(token.text[0] * 2, token.text[0])


def _open_subscribe(before: Sequence[Token]) -> Sequence[Token] | None:
    """The arguments so far of the ``subscribe(`` that the cursor is in; ``None`` elsewhere."""
    depth = 0
    for index in range(len(before) - 1, 0, -1):
        if before[index].text == ")":
            depth += 1
        elif before[index].text == "(":
            if depth == 0:
                return before[index + 1 :] if before[index - 1].keyword == "SUBSCRIBE" else None
            depth -= 1
    return None


def _lists_relations(before: Sequence[Token]) -> bool:
    """Whether a comma of a FROM list is before the cursor."""
    if not before or before[-1].text != ",":
        return False
    depth = 0
    for token in reversed(before):
        if token.text == ")":
            depth += 1
        elif token.text == "(":
            depth -= 1
            if depth < 0:
                return False
        elif depth == 0 and token.keyword in KEYWORDS - {"AS"}:
            return token.keyword == "FROM"
    return False


def _relations_in(tokens: Sequence[Token]) -> dict[str, str]:
    """Alias, or last name, to path, as written, of the relations that a statement names."""
    found: dict[str, str] = {}
    index = 0
    while index < len(tokens):
        starts = tokens[index].keyword in {"FROM", "JOIN", "INTO", "UPDATE", "USING"} or (
            tokens[index].text == "," and _lists_relations(tokens[: index + 1])
        )
        index += 1
        if not starts:
            continue
        path, index = _path_at(tokens, index)
        written = ".".join(quote_identifier_if_needed(part) for part in path)
        if path == ["subscribe"] and [token.kind for token in tokens[index : index + 2]] == ["operator", "string"]:
            written = tokens[index + 1].text[1:-1]
            path = [written.rpartition(".")[2]]
            while index < len(tokens) and tokens[index].text != ")":
                index += 1
            index += 1
        if not path:
            continue
        if index < len(tokens) and tokens[index].keyword == "AS":
            index += 1
        alias = tokens[index] if index < len(tokens) else None
        named = alias is not None and (
            alias.kind == "quoted" or (alias.kind == "word" and alias.keyword not in KEYWORDS)
        )
        found[_name(alias) if named and alias is not None else path[-1]] = written
    return found


def _path_at(tokens: Sequence[Token], index: int) -> tuple[list[str], int]:
    """The dotted name that begins at ``index``, and the index after it."""
    path: list[str] = []
    while index < len(tokens) and tokens[index].kind in {"word", "quoted"}:
        if tokens[index].keyword in KEYWORDS and not path:
            break
        path.append(_name(tokens[index]))
        index += 1
        if index >= len(tokens) or tokens[index].text != ".":
            break
        index += 1
    return path, index
