"""DataFusion's error messages as this package's errors.

DataFusion gives Python a message and no code, so the message is read. The patterns are pinned by tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from . import errors
from .function import error_of_function

__all__ = ["is_pushdown_failure", "position_in_message", "translate"]

_LINE_COLUMN = re.compile(r"Line: (\d+), Column: (\d+)")
_PREFIXES = re.compile(
    r"^(?:DataFusion error: |External error: |Error during planning: |Schema error: |Arrow error: |Execution error: |"
    r"SQL error: |This feature is not implemented: |Optimizer rule '\w+' failed\n?|type_coercion\n?|caused by\n?)+"
)


def position_in_message(message: str, text: str) -> int | None:
    """The index in ``text`` of the line and column that a parser error names."""
    found = _LINE_COLUMN.search(message)
    if found is None:
        return len(text.rstrip()) if "found: EOF" in message else None
    line, column = int(found[1]), int(found[2])
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return min(start + column - 1, len(text))


def is_pushdown_failure(error: BaseException) -> bool:
    """Whether DataFusion failed to hand a filter to a Python relation, which it does for one that begins with NULL AND.

    The same query works where filters are not handed over.
    """
    return "BooleanScalar" in str(error) and "unsupported operand" in str(error)


def _find_word(text: str, word: str) -> int | None:
    if not word:
        return None
    # The word, or the path that ends with it, where that begins.
    found = re.search(rf"(?<![\w.\"])(?:[\w\"]+\.)*\"?{re.escape(word)}(?!\w)", text, re.IGNORECASE) or re.search(
        re.escape(word.rsplit(".", 1)[-1].strip('"')), text, re.IGNORECASE
    )
    return found.start() if found else None


def translate(error: BaseException, text: str, origin: Callable[[int], int] = lambda index: index) -> errors.Error:
    """The error to raise for what DataFusion raised while it ran ``text``.

    ``origin`` maps an index in ``text`` to one in the user's input. An error of this package is returned as it is.
    """
    if isinstance(error, errors.Error):
        return error
    raised = error_of_function(error)
    if raised is not None:
        return raised
    message = str(error)
    plain = _PREFIXES.sub("", message).strip() or message

    def place(index: int | None) -> int | None:
        return None if index is None else origin(index)

    if "ParserError(" in message or "TokenizerError(" in message:
        detail = re.search(r"(?:ParserError|TokenizerError)\(\"(.*?)\"\)", message, re.DOTALL)
        said = detail[1].replace('\\"', '"') if detail else plain
        said = re.sub(r" at Line: \d+, Column: \d+", "", said)
        return errors.StatementSyntaxError(
            said, position=place(position_in_message(message, text)), hint="see the statement's form in the reference"
        )
    for pattern, make in _PATTERNS:
        found = pattern.search(plain)
        if found:
            word = found.groupdict().get("word") or ""
            return make(plain, place(_find_word(text, word)))
    return errors.OperationalError(plain, hint="DataFusion could not run this: its message says why")


def _table(message: str, position: int | None) -> errors.Error:
    name = re.search(r"table '([^']*)' not found", message)
    return errors.UndefinedTable(
        message if name is None else f"{name[1].removeprefix('jammi.public.')} does not exist",
        position=position,
        hint="SHOW TOPICS and information_schema.tables list what is there",
    )


def _column(message: str, position: int | None) -> errors.Error:
    first, _, rest = message.partition("\n")
    return errors.UndefinedColumn(
        first.rstrip("."), position=position, hint=rest.strip() or "DESCRIBE lists the columns"
    )


def _function(message: str, position: int | None) -> errors.Error:
    first, _, rest = message.partition("\n")
    return errors.UndefinedFunction(first.rstrip("."), position=position, hint=rest.strip() or "check the name")


def _call(message: str, position: int | None) -> errors.Error:
    first, _, rest = message.partition("\n")
    # DataFusion calls a wrong argument an internal error of its own and asks for a bug report.
    said = first.removeprefix("Internal error: ").partition(", errors: ")[0]
    advice = rest[max(0, rest.find("Candidate functions")) :].strip()
    return errors.UndefinedFunction(
        said.rstrip("."), position=position, hint=advice or "cast the arguments to types that it takes"
    )


def _twice(message: str, position: int | None) -> errors.Error:
    return errors.ProgrammingError(
        message, sqlstate="42701", position=position, hint="name each column once, or give it an alias"
    )


def _kind(cls: type[errors.Error], hint: str) -> Callable[[str, int | None], errors.Error]:
    return lambda message, position: cls(message, position=position, hint=hint)


def _null_condition(message: str, position: int | None) -> errors.Error:
    return errors.FeatureNotSupported(
        "DataFusion cannot hand on a condition that begins with NULL",
        position=position,
        hint="leave the NULL out of the condition or of NOT IN: it is never true with it",
    )


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[str, int | None], errors.Error]], ...] = (
    (re.compile(r"unsupported operand.*BooleanScalar"), _null_condition),
    (re.compile(r"table '(?:[\w\"]+\.)*(?P<word>[^'.]*)' not found"), _table),
    (
        re.compile(r"(?:Table|View) '(?P<word>[^']*)' doesn't exist"),
        _kind(errors.UndefinedTable, "use IF EXISTS; DROP TOPIC drops a topic"),
    ),
    (re.compile(r"[Tt]able function '?(?P<word>\w+)'? not found"), _function),
    (re.compile(r"(?i)failed to resolve (?:schema|catalog): (?P<word>\S+)"), _table),
    (re.compile(r"No field named (?P<word>[^\s]+?)[.,]?(?:\s|$)"), _column),
    (re.compile(r"Invalid function '(?P<word>[^']*)'"), _function),
    (re.compile(r"Failed to coerce arguments|does not support|No function matches the given name"), _call),
    (
        re.compile(r"Ambiguous reference(?: to unqualified field (?P<word>\S+))?|ambiguous"),
        _kind(errors.ProgrammingError, "qualify the column with its table"),
    ),
    # A topic that a view reads and that is not there any more: DataFusion keeps the text of our own error only.
    (
        re.compile(r"topic (?P<word>\S+) does not exist"),
        _kind(errors.UndefinedTable, "SHOW TOPICS lists what is there"),
    ),
    (re.compile(r"(?:View|Table) '(?P<word>[^']*)' doesn't exist"), _kind(errors.UndefinedTable, "use IF EXISTS")),
    (
        re.compile(r"Column count doesn't match|Inconsistent data length across values list"),
        _kind(errors.StatementSyntaxError, "give each row one value for each column, or list the columns"),
    ),
    (
        re.compile(r"SELECT \* with no tables"),
        _kind(errors.StatementSyntaxError, "add FROM and a relation"),
    ),
    (
        re.compile(r"is not a variable which can be viewed"),
        _kind(errors.UndefinedObject, "SHOW ALL lists DataFusion's settings, jammi.system.settings the engine's"),
    ),
    (
        re.compile(r"Null byte at position \d+ not allowed in name"),
        _kind(errors.FeatureNotSupported, "Arrow names hold no zero byte: give the column a name with AS"),
    ),
    (re.compile(r"duplicate (?:un)?qualified field name (?P<word>\S+)"), _twice),
    (re.compile(r"already exists"), _kind(errors.DuplicateObject, "use IF NOT EXISTS, or another name")),
    (re.compile(r"[Dd]ivide by zero"), _kind(errors.NumericValueOutOfRange, "nullif(divisor, 0) gives NULL instead")),
    (
        re.compile(r"[Oo]verflow|out of range|Can't cast value|does not fit|too large"),
        _kind(errors.NumericValueOutOfRange, "use try_cast, or a wider type"),
    ),
    (
        re.compile(r"Cannot cast string|Error parsing|Cast error|Parser error|Cannot parse|Unable to parse"),
        _kind(errors.InvalidTextRepresentation, "use try_cast to get NULL instead"),
    ),
    (
        re.compile(r"not provided a value|No value found for placeholder"),
        _kind(errors.InvalidParameter, "give a value for each parameter"),
    ),
    (
        re.compile(r"Resources exhausted|memory"),
        _kind(errors.OperationalError, "raise jammi.memory_limit, or narrow the query"),
    ),
    (
        re.compile(r"not implemented|not supported|[Uu]nsupported|NotImplemented"),
        _kind(errors.FeatureNotSupported, "DataFusion does not do this"),
    ),
    (
        re.compile(
            r"planning|Plan|must be|Expected|expected|Invalid|invalid|[Cc]annot|mismatch|No SQL|different|GROUP BY|"
            r"alias|"
            r"Unexpected|requires|variable"
        ),
        _kind(errors.ProgrammingError, "check the types and names"),
    ),
)
