"""``sql/tour.sql`` runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jammi_sql.console.main import main
from jammi_sql.dialect import parse

TOUR = Path(__file__).parents[2] / "sql" / "tour.sql"


def test_the_tour_runs_to_its_end_and_every_query_in_it_gives_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([":memory:", "--format", "markdown", "-f", str(TOUR)]) == 0
    printed = capfdbinary.readouterr().out.decode()
    tables = re.split(r"^\| [^\n]* \|\n\| (?:-+:?(?: \| )?)+ \|\n", printed, flags=re.MULTILINE)[1:]
    queries = [
        statement.text
        for statement in parse(TOUR.read_text("utf-8"))
        if re.match(r"(SELECT|SHOW|DESCRIBE|EXPLAIN)\b", _bare(statement.text)) or "RETURNING" in statement.text
    ]
    assert len(tables) == len(queries)
    assert [query for query, table in zip(queries, tables, strict=True) if not table.strip()] == []


def test_the_tour_leaves_nothing_behind() -> None:
    statements = [_bare(statement.text) for statement in parse(TOUR.read_text("utf-8"))]
    made = {found[1] for text in statements if (found := re.match(r"CREATE (?:TOPIC|TABLE) (\w+)", text))}
    dropped = {found[1] for text in statements if (found := re.match(r"DROP (?:TOPIC|TABLE) (\w+)", text))}
    assert made
    assert made == dropped


def _bare(text: str) -> str:
    return re.sub(r"--[^\n]*\n", "", text).strip()
