"""DataFusion's error messages as this package's errors.

DataFusion gives Python a message and no code, so the message is read. The patterns are pinned by tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from . import errors
from .function import error_of_function

__all__ = ["error_of_panic", "is_panic", "is_pushdown_failure", "position_in_message", "translate"]

_LINE_COLUMN = re.compile(r"Line: (\d+), Column: (\d+)")
_PREFIXES = re.compile(
    r"^(?:DataFusion error: |External error: |Error during planning: |Schema error: |Arrow error: |Execution error: |"
    r"SQL error: |This feature is not implemented: |Optimizer rule '\w+' failed\n?|type_coercion\n?|caused by\n?)+"
)


_PYTHON_ERROR = re.compile(r"(?:Python error ?:? ?)?PyErr \{ type: <class '[^']*'>, value: (?P<value>.*)", re.DOTALL)
_EXCEPTION = re.compile(r"\w+\((?P<quoted>(?P<quote>['\"])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)).*\)", re.DOTALL)


def _without_traceback(message: str) -> str:
    """The message with the text of a Python exception in place of Rust's dump of it, which shows files of ours."""
    found = _PYTHON_ERROR.search(message)
    if found is None:
        return message
    value = re.split(r", traceback: (?:Some\(|None)", found["value"], maxsplit=1)[0]
    shown = _EXCEPTION.fullmatch(value.strip())
    if shown is not None:  # as repr() wrote it
        value = re.sub(r"\\(.)", lambda escaped: {"n": "\n", "t": "\t"}.get(escaped[1], escaped[1]), shown["text"])
    return message[: found.start()] + value


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


def is_panic(error: BaseException) -> bool:
    """Whether DataFusion panicked: a bug of its own, or a file that it is not ready for.

    Its exception is no ``Exception``, so that nobody catches it who does not mean to, and its class is nowhere to be had.
    """
    return type(error).__name__ == "PanicException" and type(error).__module__ == "pyo3_runtime"


def error_of_panic(error: BaseException) -> errors.InternalError:
    """What is raised in place of a panic."""
    return errors.InternalError(
        f"DataFusion panicked: {error}", hint="the statement is over, and nothing of it was kept; please report it"
    )


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
    message = _without_traceback(str(error))
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
    hint = re.sub(r"[^\s,.]+\.__\w+, ", "", rest.strip())  # the engine's own columns in a statement that changes rows
    return errors.UndefinedColumn(first.rstrip("."), position=position, hint=hint or "DESCRIBE lists the columns")


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


def _kind(cls: type[errors.Error], hint: str, sqlstate: str | None = None) -> Callable[[str, int | None], errors.Error]:
    return lambda message, position: cls(message.rstrip("."), sqlstate=sqlstate, position=position, hint=hint)


def _two_columns(message: str, position: int | None) -> errors.Error:
    found = re.search(r'the expression "(.*?)" at position', message)
    said = f"two columns are named {found[1].rsplit(' AS ', 1)[-1]}" if found else message
    return errors.ProgrammingError(
        said, sqlstate="42701", position=position, hint="give one of them another name with AS"
    )


def _ungrouped(message: str, position: int | None) -> errors.Error:
    found = re.search(r'column "([^"]*)" must appear in the GROUP BY', message)
    return errors.ProgrammingError(
        "an aggregate function over the rows that are changed"
        if found and ".__" in found[1]
        else f"column {found[1]} must be in GROUP BY or within an aggregate function"
        if found
        else message,
        sqlstate="42803",
        position=position,
        hint="compute it in a sub-query"
        if found and ".__" in found[1]
        else "add it to GROUP BY, or take one value of it: max, first_value",
    )


def _wrong_type(message: str, position: int | None) -> errors.Error:
    return errors.ProgrammingError(
        message, sqlstate="42804", position=position, hint="cast one side: CAST(value AS type), or value::type"
    )


def _null_condition(message: str, position: int | None) -> errors.Error:
    return errors.FeatureNotSupported(
        "DataFusion cannot hand on a condition that begins with NULL",
        position=position,
        hint="leave the NULL out of the condition or of NOT IN: it is never true with it",
    )


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[str, int | None], errors.Error]], ...] = (
    (re.compile(r"unsupported operand.*BooleanScalar"), _null_condition),
    (
        re.compile(r"RecursionLimitExceeded"),
        _kind(errors.StatementTooComplex, "nest less deeply: put parts into WITH, or into views"),
    ),
    (re.compile(r"Projections require unique expression names"), _two_columns),
    (re.compile(r"Cannot automatically convert"), _wrong_type),
    (re.compile(r"must appear in the GROUP BY clause|must be in GROUP BY"), _ungrouped),
    (
        re.compile(r"Aggregate functions? (?:calls? )?(?:are not allowed|cannot be nested)"),
        _kind(
            errors.ProgrammingError, "compute the aggregate in a sub-query, or use HAVING in place of WHERE", "42803"
        ),
    ),
    (
        re.compile(r"[Ss]ubquery returned more than one row"),
        _kind(errors.ProgrammingError, "add LIMIT 1, or use IN, or an aggregate", "21000"),
    ),
    (
        re.compile(r"subquery should only return one column"),
        _kind(errors.StatementSyntaxError, "select one column in the sub-query"),
    ),
    (
        re.compile(r"WITH query name .* specified more than once"),
        _kind(errors.ProgrammingError, "give each query of WITH its own name", "42712"),
    ),
    (
        re.compile(r"(?:UNION|INTERSECT|EXCEPT) queries have different number of columns"),
        _kind(errors.StatementSyntaxError, "select the same number of columns on both sides"),
    ),
    (
        re.compile(r"Prepared statement '(?P<word>[^']*)' does not exist"),
        _kind(errors.UndefinedObject, "PREPARE name AS statement makes one", "26000"),
    ),
    (
        re.compile(r"(?:find config namespace for key|Config value) \"(?P<word>[^\"]*)\""),
        _kind(errors.UndefinedObject, "SHOW ALL lists DataFusion's settings, jammi.system.settings the engine's"),
    ),
    (
        re.compile(r"Error setting config (?P<word>\S+)"),
        _kind(errors.InvalidParameter, "SHOW ALL lists DataFusion's settings with their values"),
    ),
    # The system's own words for a file, whatever stands before them.
    (
        re.compile(r"Permission denied|\(os error 13\)"),
        _kind(errors.OperationalError, "check who may read or write the file and its folder", "42501"),
    ),
    (
        re.compile(r"No files found at|No such file or directory|\(os error 2\)|Object at location .* not found"),
        _kind(errors.OperationalError, "check the path: it is one of the machine that runs the statement", "58P01"),
    ),
    (
        re.compile(r"table '[^']*/[^']*' not found"),
        _kind(errors.OperationalError, "check the path: it is one of the machine that runs the statement", "58P01"),
    ),
    (
        re.compile(r"[Rr]egular expression did not compile|regex parse error"),
        _kind(errors.DataError, "escape ( ) [ ] * + ? . with a backslash to match them as they are", "2201B"),
    ),
    (
        re.compile(r"Unsupported (?:SQL )?type '?(?P<word>\w+)"),
        _kind(errors.UndefinedObject, "the reference lists the types", "42704"),
    ),
    (
        re.compile(
            r"Cannot coerce|Cannot infer common|non-boolean predicate|requires a boolean expression|"
            r"isn't a common type to coerce|can't cast to .* in InSubquery|Expected LIMIT to be an integer"
        ),
        _wrong_type,
    ),
    (
        re.compile(r"failed to match any signature|can only be applied to|expects \d+ arguments? but"),
        _call,
    ),
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
        _kind(errors.ProgrammingError, "qualify the column with its table", "42702"),
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
    (
        re.compile(r"duplicate (?:un)?qualified field name (?P<word>\S+)"),
        _kind(errors.ProgrammingError, "name each column once, or give it an alias", "42701"),
    ),
    (re.compile(r"already exists"), _kind(errors.DuplicateObject, "use IF NOT EXISTS, or another name")),
    (
        re.compile(r"[Dd]ivide by zero"),
        _kind(errors.NumericValueOutOfRange, "nullif(divisor, 0) gives NULL instead", "22012"),
    ),
    (
        re.compile(r"Timestamp -?\d+ out of range"),  # date_trunc counts nanoseconds
        _kind(errors.DataError, "date_trunc to a week or more takes times of the years 1678 to 2261 here", "22008"),
    ),
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
