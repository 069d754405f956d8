"""Chains that would end the process are refused, and nothing that would not."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import jammi_sql
from jammi_sql.dialect import parse
from jammi_sql.dialect.complexity import LIMITS
from jammi_sql.errors import OperationalError, ProgrammingError, StatementTooComplex

CHAINS: dict[str, Callable[[int], str]] = {
    "plus": lambda n: "SELECT " + " + ".join(["1"] * n),
    "concat": lambda n: "SELECT " + "||".join(["'a'"] * n),
    "cast": lambda n: "SELECT 1" + "::bigint" * n,
    "is": lambda n: "SELECT 1 " + "IS NULL " * n,
    "or": lambda n: "SELECT * FROM t WHERE " + " OR ".join(f"k < {i}" for i in range(n)),
    "and": lambda n: "SELECT * FROM t WHERE " + " AND ".join(f"k <> {i}" for i in range(n)),
    "or of and": lambda n: "SELECT * FROM t WHERE " + " OR ".join(f"(k = {i} AND k < 7)" for i in range(n)),
    "in a case": lambda n: "SELECT CASE WHEN k = 1 THEN " + "+".join(["1"] * n) + " END FROM t",
    "in an insert": lambda n: "INSERT INTO t (k) VALUES (" + "+".join(["1"] * n) + ")",
    "in brackets": lambda n: "SELECT " + "(" * 40 + "1" + ("+1" * (n // 40) + ")") * 40,
    "union": lambda n: " UNION ALL ".join(["SELECT 1"] * n),
    "except": lambda n: " EXCEPT ".join(["SELECT 1"] * n),
    "intersect": lambda n: " INTERSECT ".join(["SELECT 1"] * n),
    "join": lambda n: "SELECT 1 FROM t x" + "".join(f" JOIN t x{i} ON x{i}.k = x.k" for i in range(n)),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_chain_that_would_end_the_process_is_refused_with_its_place(chain: Callable[[int], str]) -> None:
    text = chain(20_000)
    with pytest.raises(StatementTooComplex) as caught:
        parse(text)
    error = caught.value
    assert (error.sqlstate, bool(error.hint)) == ("54001", True)
    assert isinstance(error, ProgrammingError)
    assert isinstance(error, OperationalError)
    assert error.position is not None
    assert 0 < error.position < len(text)


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param("plus", marks=pytest.mark.soak),  # "in brackets" goes the same way, and deeper
        pytest.param("or", marks=pytest.mark.soak),  # "or of and" has both in it
        pytest.param("and", marks=pytest.mark.soak),
        "or of and",
        "in brackets",
        "union",
        "except",
    ],
)
def test_the_longest_chain_that_is_accepted_runs_on_a_thread(chain: str) -> None:
    limit = LIMITS["EXCEPT and INTERSECT"] if chain == "except" else LIMITS["operators"]
    done: list[bool] = []
    with jammi_sql.connect() as connection:
        connection.execute("CREATE TOPIC t (k bigint)")
        connection.execute("INSERT INTO t VALUES (1)")

        def run() -> None:
            connection.execute(CHAINS[chain](limit - 5)).fetchall()  # as long, the few operators of a term aside
            done.append(True)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert done == [True]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM t WHERE k IN (" + ", ".join(map(str, range(10_000))) + ")",
        "SELECT * FROM t WHERE k IN (" + ", ".join(f"k + {i}" for i in range(10_000)) + ")",
        "INSERT INTO t VALUES " + ", ".join(f"({i}, {i} + 1)" for i in range(10_000)),
        "INSERT INTO t VALUES " + ", ".join(f"({i}, -1)" for i in range(10_000)),
        "SELECT " + ", ".join(f"k + {i} AS c{i}" for i in range(5_000)) + " FROM t",
        "SELECT CASE " + " ".join(f"WHEN k = {i} THEN {i} + 1" for i in range(5_000)) + " ELSE 0 END FROM t",
        "SELECT * FROM t WHERE " + " OR ".join(f"k BETWEEN {i} AND {i + 1}" for i in range(900)),
        "SELECT [" + ", ".join(f"k + {i}" for i in range(5_000)) + "] FROM t",
        "SELECT " + " + ".join("(" + " + ".join(["1"] * 900) + ")" for _ in range(30)),
        "SELECT " + ", ".join(f"f(k + {i}) || 'a' <> 'b'" for i in range(2_000)) + " FROM t",
        "SELECT " + ", ".join("(SELECT max(a.k) FROM t a JOIN t b ON a.k = b.k)" for _ in range(500)),
    ],
    ids=[
        "in",
        "computed in",
        "rows",
        "literals",
        "columns",
        "whens",
        "between",
        "array",
        "parentheses",
        "calls",
        "sub-queries",
    ],
)
def test_long_statements_without_a_long_chain_are_accepted(text: str) -> None:
    assert len(parse(text)) == 1


@pytest.mark.parametrize("text", [123, None, b"SELECT 1"])
def test_a_statement_that_is_no_text_is_a_programming_error(text: object) -> None:
    with pytest.raises(ProgrammingError, match="is a str"):
        parse(text)  # type: ignore[arg-type]


def test_half_a_surrogate_pair_is_a_syntax_error_at_its_place() -> None:
    with pytest.raises(ProgrammingError) as caught:
        parse("SELECT '\ud800'")
    assert (caught.value.sqlstate, caught.value.position) == ("42601", 8)
