"""SQL text to statements: each is recognised by its first words, and what is not ours stays text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..errors import ProgrammingError, StatementSyntaxError
from .calls import read_call, read_kill
from .complexity import check_complexity
from .composing import part
from .copy import read_copy
from .cursor import Cursor
from .defaults import DefaultArguments, default_edits
from .definitions import read_alter, read_create, read_drop, read_truncate
from .delete import read_delete
from .insert import read_insert, read_replace
from .merge import read_merge
from .parameters import parameter_edits, parameter_keys, settle_colons
from .parsed import Parsed
from .query import read_query
from .rewriting import Rewriting
from .script import Piece, split
from .settings import read_describe, read_reset, read_set, read_show
from .sources import read_attach, read_detach, read_refresh
from .statements import Explain, Query, Statement, Unsupported
from .tokens import tokenize
from .transactions import read_begin, read_commit, read_release, read_rollback, read_savepoint, read_start
from .update import read_update

__all__ = ["explained", "parse"]

_Reader = Callable[[Cursor], Statement | None]
_EXPLAIN_WORDS = ("ANALYZE", "VERBOSE", "FORMAT")
_FALSE = frozenset({"FALSE", "OFF", "0"})


def parse(text: str, defaults: Mapping[str, DefaultArguments] = MappingProxyType({})) -> list[Parsed]:
    """All statements of ``text``, in order; pieces without a token are left out.

    ``defaults`` are the functions whose calls may leave arguments out; they are written into the text.

    Raises ``StatementSyntaxError`` (42601) with the position in ``text`` and a hint; ``StatementTooComplex`` (54001) for
    what DataFusion would crash on; ``ProgrammingError`` for what is no ``str``, 42701 for a column that is named twice,
    42703 for one of a key that is not defined, and 42P16 for a second primary key; ``FeatureNotSupported`` (0A000) for
    constraints on a topic and for what tables do not have.
    """
    _check_text(text)
    tokens = settle_colons(tokenize(text))
    return [_parse_piece(text, piece, defaults) for piece in split(tokens, len(text))]


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise ProgrammingError(f"a statement is a str, not {type(text).__name__}", hint="decode bytes first")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StatementSyntaxError(
            "the text holds half of a surrogate pair, which is no character",
            position=error.start,
            hint="decode the text it came from without surrogateescape",
        ) from error


def _parse_piece(text: str, piece: Piece, defaults: Mapping[str, DefaultArguments]) -> Parsed:
    check_complexity(piece.tokens)
    # The placeholders of PREPARE are its own: EXECUTE gives their values.
    edits = [] if piece.tokens[0].keyword == "PREPARE" else parameter_edits(text, piece.tokens)
    written = sorted([*edits, *default_edits(piece.tokens, defaults)], key=lambda edit: edit.start)
    cursor = Cursor(piece.tokens, piece.start, piece.end, Rewriting(text, written))
    return Parsed(_statement(cursor), parameter_keys(edits), text[piece.start : piece.end], piece.start)


def _statement(cursor: Cursor) -> Statement:
    reader = _READERS.get(cursor.tokens[0].keyword)
    statement = reader(cursor) if reader is not None else None
    return statement if statement is not None else read_query(cursor)


def _explain(cursor: Cursor) -> Statement | None:
    """EXPLAIN of a statement of the dialect, or of a query with its table functions or as-of joins.

    ``None`` for others, which are DataFusion's.
    """
    cursor.grammar = "EXPLAIN [ANALYZE] [VERBOSE] [FORMAT format] statement"
    start = cursor.position
    cursor.expect("EXPLAIN")
    analyze = _explain_options(cursor)
    if cursor.peek() is None:
        raise cursor.error("a statement")
    if cursor.at("EXPLAIN"):
        raise StatementSyntaxError(
            "EXPLAIN cannot explain EXPLAIN", position=cursor.position, hint="leave the second EXPLAIN out"
        )
    inner = Cursor(cursor.tokens[cursor.index :], cursor.position, cursor.end, cursor.rewriting)
    statement = _statement(inner)
    if isinstance(statement, Unsupported):
        return statement
    if isinstance(statement, Query) and not (statement.subscribes or statement.remotes or statement.asofs):
        return None
    return Explain(cursor.rewriting.source[start : inner.start], analyze, statement)


def explained(query: Query) -> tuple[Query, bool]:
    """The query that an ``EXPLAIN`` of DataFusion's explains, and whether it is to be run."""
    text = query.body.text
    cursor = Cursor(tokenize(text), 0, len(text), Rewriting(text, ()))
    cursor.expect("EXPLAIN")
    analyze = _explain_options(cursor)
    inner = part(query.body, cursor.position, len(text))
    return Query(cursor.keyword(), inner, query.subscribes, query.words, query.remotes), analyze


def _explain_options(cursor: Cursor) -> bool:
    """Step over the options, in parentheses or not; returns whether the statement is to be run."""
    analyze = False
    if cursor.symbol() == "(" and cursor.keyword(1) in _EXPLAIN_WORDS:
        while cursor.symbol() != ")":
            if cursor.peek() is None:
                raise cursor.error(")")
            if cursor.accept("ANALYZE"):
                token = cursor.peek()
                analyze = token is None or token.text.upper() not in _FALSE
            else:
                cursor.index += 1
        cursor.expect_symbol(")")
        return analyze
    while word := cursor.accept_any(*_EXPLAIN_WORDS):
        analyze = analyze or word == "ANALYZE"
        if word == "FORMAT" and cursor.peek() is not None:
            cursor.index += 1
    return analyze


_READERS: Mapping[str, _Reader] = {
    "ABORT": read_rollback,
    "ALTER": read_alter,
    "ATTACH": read_attach,
    "BEGIN": read_begin,
    "CALL": read_call,
    "COMMIT": read_commit,
    "COPY": read_copy,
    "CREATE": read_create,
    "DELETE": read_delete,
    "DESC": read_describe,
    "DESCRIBE": read_describe,
    "DETACH": read_detach,
    "DROP": read_drop,
    "END": read_commit,
    "EXPLAIN": _explain,
    "INSERT": read_insert,
    "KILL": read_kill,
    "MERGE": read_merge,
    "REFRESH": read_refresh,
    "RELEASE": read_release,
    "REPLACE": read_replace,
    "RESET": read_reset,
    "ROLLBACK": read_rollback,
    "SAVEPOINT": read_savepoint,
    "SET": read_set,
    "SHOW": read_show,
    "START": read_start,
    "TRUNCATE": read_truncate,
    "UPDATE": read_update,
}
