"""Queries over attached databases give the same rows, computed there and computed here."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest

from jammi_sql import Connection
from jammi_sql.federation import cutting
from tests.servers.postgres import PostgresServer

from .bothways import code_of, explained, pushed_and_not

PG, LITE, DUCK, FAR = "pg.public", "lite.main", "duck.main", "far.public"

EACH = [
    "SELECT * FROM {s}.one",
    "SELECT count(*) FROM {s}.one",
    "SELECT t, id FROM {s}.one WHERE t = 'a' OR t = 'A' OR t = ''",
    "SELECT id FROM {s}.one WHERE t <> 'a'",
    "SELECT id FROM {s}.one WHERE NOT (t = 'a')",
    "SELECT id FROM {s}.one WHERE t IN ('a', 'é', 'it''s', 'a\\b')",
    "SELECT id FROM {s}.one WHERE t NOT IN ('a', 'b')",
    "SELECT id FROM {s}.one WHERE t NOT IN ('a', NULL)",
    "SELECT id, t FROM {s}.one WHERE t < 'a'",
    "SELECT id, t FROM {s}.one WHERE t >= 'Z' AND t < 'é'",
    "SELECT id, t FROM {s}.one WHERE t BETWEEN 'A' AND 'a'",
    "SELECT id, t FROM {s}.one WHERE t LIKE 'a%'",
    "SELECT id, t FROM {s}.one WHERE t NOT LIKE '%a%'",
    "SELECT id, t FROM {s}.one WHERE t LIKE 'a\\_b'",
    "SELECT id, t FROM {s}.one WHERE t LIKE '_' OR t LIKE '100\\%' OR t LIKE 'x*y' OR t LIKE '[q]'",
    "SELECT id, t FROM {s}.one WHERE t ILIKE 'A%'",
    "SELECT id, t FROM {s}.one WHERE t IS NULL",
    'SELECT "Mixed Case", count(*) FROM {s}.one GROUP BY "Mixed Case"',
    "SELECT id, f FROM {s}.one WHERE f = 0",
    "SELECT id, f FROM {s}.one WHERE f > 1.5",
    "SELECT id, f FROM {s}.one WHERE f >= 'NaN'::DOUBLE",
    "SELECT id, f FROM {s}.one WHERE f <> f",
    "SELECT id, f FROM {s}.one WHERE f IN (1.5, 0.1)",
    "SELECT min(f), max(f), count(f) FROM {s}.one",
    "SELECT sum(f), avg(f) FROM {s}.one WHERE f > -10 AND f < 10",
    "SELECT id, k FROM {s}.one WHERE k % 2 = 1 OR k / 2 = 1",
    "SELECT sum(k), avg(k), min(k), max(k), count(DISTINCT k) FROM {s}.one",
    "SELECT k, sum(big) FROM {s}.one WHERE big < 100 AND big > -100 GROUP BY k HAVING count(*) > 2",
    "SELECT id FROM {s}.one WHERE big = 9007199254740993",
    "SELECT id FROM {s}.one WHERE big > 9223372036854775806",
    "SELECT id, d FROM {s}.one WHERE d = 1.1",
    "SELECT id, d FROM {s}.one WHERE d > 1 AND d <= 3.05",
    "SELECT k, sum(d), min(d), max(d), avg(d) FROM {s}.one GROUP BY k",
    "SELECT sum(d * d), sum(d + 1), sum(d * (1 - d)) FROM {s}.one",
    "SELECT id FROM {s}.one WHERE b",
    "SELECT id FROM {s}.one WHERE NOT b",
    "SELECT id FROM {s}.one WHERE b IS NOT TRUE",
    "SELECT b, count(*) FROM {s}.one GROUP BY b",
    "SELECT id FROM {s}.one WHERE by = X'61' OR by = X''",
    "SELECT id, by FROM {s}.one WHERE by > X'61'",
    "SELECT id, dt FROM {s}.one WHERE dt >= DATE '1995-03-15' AND dt < DATE '2024-12-31'",
    "SELECT extract(YEAR FROM dt) AS y, count(*) FROM {s}.one GROUP BY 1",
    "SELECT extract(month FROM ts), extract(hour FROM ts), extract(day FROM dt) FROM {s}.one",
    "SELECT date_trunc('month', ts) AS m, count(*) FROM {s}.one WHERE ts > TIMESTAMP '1900-01-01' GROUP BY 1",
    "SELECT id, ts FROM {s}.one WHERE ts > TIMESTAMP '1970-01-01 00:00:00'",
    "SELECT CASE WHEN k > 1 THEN 'big' WHEN k < 0 THEN 'neg' END AS c, count(*) FROM {s}.one GROUP BY 1",
    "SELECT coalesce(t, 'none'), nullif(k, 1) FROM {s}.one",
    "SELECT CASE k WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE t END, count(*) FROM {s}.one GROUP BY 1",
    "SELECT id FROM {s}.one WHERE t LIKE '%'",
    "SELECT substr(t, 1, 1), substr(t, 2), count(*) FROM {s}.one GROUP BY 1, 2",
    "SELECT id, upper(t), lower(t), length(t), t || 'x' FROM {s}.one",
    "SELECT DISTINCT k, b FROM {s}.one",
    "SELECT id FROM {s}.one ORDER BY id DESC LIMIT 5",
    "SELECT id, t FROM {s}.one ORDER BY t DESC NULLS LAST, id LIMIT 10 OFFSET 3",
    "SELECT id, f FROM {s}.one ORDER BY f, id LIMIT 20",
    "SELECT id, f FROM {s}.one ORDER BY f, id LIMIT 18",  # among the zeros it ends
    "SELECT id FROM {s}.one ORDER BY id LIMIT 0",
    "SELECT count(*) FROM (SELECT id FROM {s}.one LIMIT 7) AS s",
    "SELECT o.id, w.id FROM {s}.one AS o JOIN {s}.two AS w ON o.k = w.k WHERE o.id < 10",
    "SELECT o.id, w.id FROM {s}.one AS o LEFT JOIN {s}.two AS w ON o.t = w.t AND w.id > 5",
    "SELECT o.id, w.id FROM {s}.one AS o RIGHT JOIN {s}.two AS w ON o.t = w.t AND o.id > 5 WHERE w.id < 20",
    "SELECT o.id, w.id FROM {s}.one AS o FULL JOIN {s}.two AS w ON o.id = w.id AND w.k = 1",
    "SELECT o.id, w.c FROM {s}.one AS o LEFT JOIN (SELECT k, coalesce(t, 'x') AS c FROM {s}.two) AS w ON o.k = w.k",
    "SELECT o.id, w.n FROM {s}.one AS o LEFT JOIN (SELECT k, count(*) AS n FROM {s}.two GROUP BY k) AS w ON o.k = w.k",
    "SELECT id FROM {s}.one WHERE k IN (SELECT k FROM {s}.two WHERE b)",
    "SELECT id FROM {s}.one WHERE k NOT IN (SELECT k FROM {s}.two WHERE k IS NOT NULL)",
    "SELECT id FROM {s}.one WHERE k NOT IN (SELECT k FROM {s}.two)",
    "SELECT id FROM {s}.one AS o WHERE EXISTS (SELECT 1 FROM {s}.two AS w WHERE w.t = o.t AND w.id <> o.id)",
    "SELECT id FROM {s}.one AS o WHERE NOT EXISTS (SELECT 1 FROM {s}.two AS w WHERE w.t = o.t)",
    "SELECT id FROM {s}.one WHERE k > (SELECT avg(k) FROM {s}.two WHERE k < 100)",
    "SELECT id FROM {s}.one WHERE k = (SELECT max(k) FROM {s}.two WHERE id < 0) OR k IS NULL",
    "SELECT id FROM {s}.one WHERE t >= (SELECT min(t) FROM {s}.two WHERE id > 7) AND id < (SELECT count(*) FROM {s}.two)",
    "SELECT id FROM {s}.one WHERE d > (SELECT avg(d) FROM {s}.two WHERE k > (SELECT min(k) FROM {s}.one))",
    "SELECT id FROM {s}.one WHERE k < (SELECT sum(k) FROM {s}.two WHERE id < 5 HAVING count(*) > 100)",
    "SELECT id FROM {s}.one AS o WHERE big > (SELECT max(w.k) FROM {s}.two AS w WHERE w.b = o.b)",
    "SELECT id, t FROM {s}.one WHERE id < 3 UNION ALL SELECT id, t FROM {s}.two WHERE id < 3",
    "SELECT t FROM {s}.one UNION SELECT t FROM {s}.two",
    "SELECT t FROM {s}.one EXCEPT SELECT t FROM {s}.two",
    "SELECT t FROM {s}.one INTERSECT SELECT t FROM {s}.two",
    "SELECT id, row_number() OVER (PARTITION BY k ORDER BY id) FROM {s}.one",
    "SELECT k, count(*) FILTER (WHERE b), sum(d) FILTER (WHERE id > 5) FROM {s}.one GROUP BY k",
    "SELECT k, b, count(*) FROM {s}.one GROUP BY GROUPING SETS ((k), (b), ())",
    "SELECT a.id, b.id FROM {s}.one AS a, {s}.two AS b, {s}.one AS c WHERE a.k = b.k AND b.id = c.id AND c.b",
    "WITH w AS (SELECT k, max(d) AS m FROM {s}.one GROUP BY k) SELECT w.k, w.m, t.id FROM w JOIN {s}.two t ON t.k = w.k",
    "SELECT 1 FROM {s}.one WHERE id < 3",
    "SELECT count(*) FROM {s}.one WHERE b IN (NULL) AND b NOT IN (TRUE)",
    "SELECT * FROM {s}.one AS a FULL JOIN {s}.two AS b ON a.id = b.id",
    "SELECT id FROM {s}.one WHERE id = 1 AND 1 = 1 AND NULL IS NULL",
    "SELECT max(id) FROM {s}.one WHERE id < 0",
    "SELECT k, max(t), min(t) FROM {s}.one GROUP BY k",
    "SELECT id FROM {s}.one WHERE CAST(k AS BIGINT) = big",
    "SELECT id FROM {s}.one WHERE CAST(k AS VARCHAR) = '7'",
    "SELECT id FROM {s}.one WHERE d > k",
    "SELECT id FROM {s}.one WHERE f > k",
    "SELECT id FROM {s}.one ORDER BY id OFFSET 50",
    "SELECT substr(t, 1, 3000000000), substr(t, 2147483648) FROM {s}.one",
    "SELECT id, count(DISTINCT k) OVER (PARTITION BY b) FROM {s}.one",
    "SELECT id, sum(k) FILTER (WHERE b) OVER (ORDER BY id) FROM {s}.one",
    "SELECT id, sum(CASE WHEN t = '\n' THEN 1 ELSE k END) FILTER (WHERE b) OVER (ORDER BY id) FROM {s}.one",
    "SELECT avg(big), k FROM {s}.one GROUP BY k",
    "WITH RECURSIVE r AS (SELECT 0 AS id UNION ALL SELECT o.id FROM r JOIN {s}.one AS o ON o.id = r.id + 1 WHERE r.id < 9)"
    " SELECT count(*), max(id) FROM r",
    "WITH RECURSIVE r AS (SELECT 0 AS id UNION ALL SELECT r.id + 1 FROM r WHERE r.id + 1 IN (SELECT id FROM {s}.one WHERE id < 9))"
    " SELECT count(*), max(id) FROM r",
]

ACROSS = [
    "SELECT id, extract(hour FROM arrow_cast(tz, 'Timestamp(Microsecond, Some(\"Europe/Berlin\"))')) FROM pg.public.one",
    "SELECT p.id, l.t FROM pg.public.one AS p JOIN lite.main.two AS l ON p.id = l.id WHERE p.k = 1",
    "SELECT p.id, l.id FROM pg.public.one AS p LEFT JOIN lite.main.two AS l ON p.t = l.t",
    "SELECT count(*) AS n FROM lite.main.one AS a JOIN pg.public.one AS b ON a.dt = b.dt"
    " JOIN lite.main.one AS c ON a.dt = c.dt AND a.b IS NULL WHERE a.b = c.b",
    "SELECT count(*) AS n FROM lite.main.one AS a JOIN pg.public.one AS b ON a.dt = b.dt"
    " JOIN lite.main.one AS c ON a.dt = c.dt WHERE a.b = a.b AND a.b = c.b",
    "SELECT count(*) AS n FROM lite.main.one AS a JOIN pg.public.one AS b ON a.id = b.id"
    " JOIN lite.main.one AS c ON a.dt = c.dt WHERE a.id = c.id",
    "SELECT e.id, p.t, c.t FROM events AS e JOIN pg.public.one AS p ON p.id = e.id JOIN companion AS c ON c.id = p.id",
    "SELECT c.t, count(*) FROM companion AS c JOIN pg.public.one AS a ON a.id = c.id JOIN pg.public.two AS b ON b.k = a.k"
    " JOIN lite.main.one AS l ON l.id = c.id GROUP BY c.t",
    "SELECT a.id FROM pg.public.one AS a, lite.main.one AS l, pg.public.two AS b"
    " WHERE a.id = l.id AND l.id = b.id AND a.k = b.k",
    "SELECT id FROM pg.public.one WHERE id IN (SELECT id FROM lite.main.two WHERE b) AND t NOT IN (SELECT t FROM companion)",
    "SELECT id FROM pg.public.one UNION ALL SELECT id FROM lite.main.one",
    "SELECT p.id FROM pg.public.one p, lite.main.two l WHERE p.id < l.id AND p.id > 50",
    "SELECT e.id FROM events e WHERE EXISTS (SELECT 1 FROM pg.public.one p WHERE p.id = e.id AND p.b)",
    "SELECT r.n, p.id FROM remote_query('pg', 'SELECT 1 AS n UNION SELECT 2') AS r JOIN pg.public.one p ON p.id = r.n",
]


@pytest.mark.parametrize("text", EACH)
@pytest.mark.parametrize("source", [PG, LITE, DUCK, FAR])
def test_a_query_over_one_source(attached: Connection, source: str, text: str) -> None:
    pushed_and_not(attached, text.format(s=source))


@pytest.mark.parametrize("text", ACROSS)
def test_a_query_over_several(attached: Connection, text: str) -> None:
    pushed_and_not(attached, text)


@pytest.mark.parametrize("text", ACROSS)
def test_a_small_side_is_read_first(attached: Connection, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "_LARGE", 0)
    monkeypatch.setattr(cutting, "_TIMES", 0)
    pushed_and_not(attached, text)


def test_a_source_is_asked_for_the_keys_of_a_small_side(attached: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "_LARGE", 50)
    attached.execute("CREATE TABLE few AS SELECT 7 AS id UNION ALL SELECT 9 UNION ALL SELECT NULL")
    text = "SELECT f.id, p.t FROM few AS f LEFT JOIN pg.public.one AS p ON p.id = f.id"
    assert "IN (7, 9)" in explained(attached, f"ANALYZE {text}")["source pg"]
    assert "keys of the other side" in explained(attached, text)["computed here"]
    assert len(pushed_and_not(attached, text)) == 3
    attached.execute("DELETE FROM few WHERE id IS NOT NULL")
    assert "WHERE FALSE" in explained(attached, f"ANALYZE {text}")["source pg"]
    assert pushed_and_not(attached, text) == [(None, None)]
    attached.execute("DROP TABLE few")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SELECT t, count(*) FROM {s}.one WHERE k > 1 GROUP BY t", ["GROUP BY ", "> 1)"]),
        ("SELECT a.id FROM {s}.one a JOIN {s}.two b ON a.id = b.id", [" JOIN ", '."id" = t']),
        ("SELECT id FROM {s}.one ORDER BY id LIMIT 3", ["ORDER BY", "LIMIT 3"]),
        ("SELECT id FROM {s}.one LIMIT 3", ["LIMIT 3"]),
        ("SELECT id FROM {s}.one WHERE k IN (SELECT k FROM {s}.two)", ["EXISTS (SELECT 1"]),
        ("SELECT DISTINCT k FROM {s}.one", ["GROUP BY "]),
    ],
)
@pytest.mark.parametrize(("source", "name"), [(PG, "source pg"), (LITE, "source lite")])
def test_explain_shows_the_text_that_is_sent(
    attached: Connection, source: str, name: str, text: str, parts: list[str]
) -> None:
    plan = explained(attached, text.format(s=source))
    assert [part for part in parts if part not in plan[name]] == []
    assert "rows: " in plan[name]
    assert "computed here" not in plan


@pytest.mark.parametrize("source", [PG, FAR])
def test_columns_of_the_same_name_do_not_keep_a_join_here(attached: Connection, source: str) -> None:
    text = (
        f"SELECT a.id, b.*, 1 AS id_2, a.t FROM {source}.one AS a JOIN {source}.two AS b ON a.id = b.id WHERE b.id < 4"
    )
    assert " JOIN " in explained(attached, text)[f"source {source.partition('.')[0]}"]
    found = attached.execute(text).fetch_arrow_table()
    assert found.schema.names.count("id") == 2 and found.schema.names.count("t") == 2
    assert found.schema.names[0] == "id" and found.schema.names[-2:] == ["id_2", "t"]
    assert len(pushed_and_not(attached, text)) == 4


@pytest.mark.parametrize("unit", ["year", "quarter", "month", "week", "day", "hour", "minute", "second"])
@pytest.mark.parametrize("source", [PG, DUCK])
def test_a_source_truncates_any_time_and_here_those_are_refused_that_nanoseconds_cannot_count(
    attached: Connection, source: str, unit: str
) -> None:
    text = f"SELECT ts, date_trunc('{unit}', ts) AS cut FROM {source}.one WHERE ts IS NOT NULL"
    found = attached.execute(text).fetch_arrow_table()
    assert str(pc.min(found["ts"]).as_py()).startswith("0001-01-01")
    assert found["cut"].equals(pc.floor_temporal(found["ts"], unit=unit, week_starts_monday=True))
    attached.execute("SET jammi.pushdown = off")
    try:
        if unit in ("day", "hour", "minute", "second"):
            assert attached.execute(text).fetch_arrow_table().sort_by("ts").equals(found.sort_by("ts"))
        else:
            assert code_of(attached, text) == "22008"
    finally:
        attached.execute("RESET jammi.pushdown")


@pytest.mark.parametrize("relation", ["companion", "events", "pg.public.one", "lite.main.one", "far.public.one"])
@pytest.mark.parametrize("pushdown", ["on", "off"])
def test_a_condition_that_is_null_for_every_row_has_no_rows_to_count(
    attached: Connection, relation: str, pushdown: str
) -> None:
    attached.execute(f"SET jammi.pushdown = {pushdown}")
    try:
        for condition in ("id IN (NULL)", "id IN (NULL, 5) AND id NOT IN (5)"):
            assert attached.execute(f"SELECT count(*) FROM {relation} WHERE {condition}").fetchall() == [(0,)]
    finally:
        attached.execute("RESET jammi.pushdown")


def test_explain_says_why_something_stays(attached: Connection) -> None:
    plan = explained(attached, "SELECT id FROM pg.public.one WHERE upper(t) = 'A' AND id > 3")
    assert "upper" not in plan["source pg"] and "> 3" in plan["source pg"]
    assert plan["computed here"] == "pg: filter: upper is not known to mean the same in postgres"


def test_explain_analyze_counts_what_came(attached: Connection) -> None:
    plan = explained(attached, "ANALYZE SELECT id FROM pg.public.one WHERE id < 7")
    assert "rows: 7; waited: " in plan["source pg"]


def test_tables_of_one_source_are_joined_there_whatever_stands_between_them(attached: Connection) -> None:
    text = (
        "SELECT a.id FROM pg.public.one AS a, companion AS c, pg.public.two AS b"
        " WHERE a.id = c.id AND c.id = b.id AND a.k = b.k"
    )
    assert 'JOIN "public"."two"' in explained(attached, text)["source pg"]


@pytest.mark.parametrize("source", [PG, LITE, DUCK])
@pytest.mark.parametrize(
    "text", ["SELECT k, sum(big) FROM {s}.one GROUP BY k", "SELECT k FROM {s}.one GROUP BY k HAVING sum(big) > 5"]
)
def test_a_sum_beyond_64_bits_is_refused_and_compared_with_nothing(
    attached: Connection, source: str, text: str
) -> None:
    assert code_of(attached, text.format(s=source)) == "22003"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT c FROM pg.public.kinds UNION ALL SELECT v FROM pg.public.kinds",
        "SELECT v FROM pg.public.kinds UNION ALL SELECT c FROM pg.public.kinds",
        "SELECT c, count(*) FROM (SELECT c FROM pg.public.kinds UNION ALL SELECT v FROM pg.public.kinds) GROUP BY c",
        "SELECT u FROM pg.public.kinds UNION SELECT v FROM pg.public.kinds UNION SELECT t FROM pg.public.one",
        "SELECT c, u FROM pg.public.kinds UNION ALL SELECT c, u FROM pg.public.kinds",
    ],
)
def test_columns_that_are_kept_in_different_forms_are_one_column_of_a_union(
    attached: Connection, postgres: PostgresServer, text: str
) -> None:
    (address,) = (uri for name, _, uri in attached.execute("SHOW SOURCES").fetchall() if name == "pg")
    made = (
        "CREATE TABLE IF NOT EXISTS kinds (c char(5), v varchar(5), u uuid); TRUNCATE kinds;"
        " INSERT INTO kinds VALUES ('a', 'a  ', '00000000-0000-0000-0000-000000000001'), ('b', 'b', NULL)"
    )
    postgres.sql(made, address.rpartition("/")[2])
    pushed_and_not(attached, text)


@pytest.mark.parametrize("join", ["JOIN", "LEFT JOIN"])
def test_a_name_that_reads_like_a_join_is_a_name(attached: Connection, join: str) -> None:
    attached.execute('CREATE TABLE pg.public."a JOIN b" AS SELECT 1 AS id, 2 AS k')
    try:
        pushed_and_not(
            attached, f'SELECT o.id, a.k FROM pg.public.one AS o {join} pg.public."a JOIN b" AS a ON a.id = o.id'
        )
    finally:
        attached.execute('DROP TABLE pg.public."a JOIN b"')


def test_what_a_remote_query_does_to_its_session_is_for_nobody_else(attached: Connection) -> None:
    changed = (
        "SELECT set_config(''standard_conforming_strings'', ''off'', false) AS a, set_config(''role'', ''pg_monitor'', false) AS b,"
        " set_config(''default_transaction_read_only'', ''off'', false) AS c"
    )
    assert attached.execute(f"SELECT * FROM remote_query('pg', '{changed}')").fetchall() == [
        ("off", "pg_monitor", "off")
    ]
    asked = (
        "SELECT current_setting(''standard_conforming_strings'') AS a, current_user::text AS b,"
        " current_setting(''transaction_read_only'') AS c"
    )
    assert attached.execute(f"SELECT * FROM remote_query('pg', '{asked}')").fetchall() == [("on", "postgres", "on")]
    assert len(pushed_and_not(attached, "SELECT id FROM pg.public.one WHERE t = 'a\\b'")) == 3


def test_pushdown_off_reads_columns_alone(attached: Connection) -> None:
    attached.execute("SET jammi.pushdown = off")
    try:
        plan = explained(attached, "SELECT id FROM pg.public.one WHERE id = 1")
    finally:
        attached.execute("RESET jammi.pushdown")
    assert "WHERE" not in plan["source pg"]


def test_a_view_over_a_source_is_cut_like_the_query_in_it(attached: Connection) -> None:
    attached.execute(
        "CREATE VIEW joined AS SELECT a.k, b.t FROM pg.public.one AS a JOIN pg.public.two AS b ON a.id = b.id"
    )
    try:
        text = "SELECT t, count(*) FROM joined WHERE k > 1 GROUP BY t"
        plan = explained(attached, text)
        assert " JOIN " in plan["source pg"] and "GROUP BY" in plan["source pg"]
        pushed_and_not(attached, text)
        pushed_and_not(attached, "SELECT j.t, c.t FROM joined AS j JOIN companion AS c ON c.t = j.t")
    finally:
        attached.execute("DROP VIEW joined")


def test_a_view_over_a_file_is_cut_with_what_it_is_joined_with(attached: Connection, tmp_path: Path) -> None:
    attached.execute(f"COPY (SELECT id, t FROM pg.public.one) TO '{tmp_path / 'rows.parquet'}'")
    attached.execute("ATTACH ? AS own_files", (str(tmp_path / "rows.parquet"),))
    attached.execute("CREATE VIEW seen AS SELECT f.id, f.t FROM own_files.public.own_files AS f WHERE f.id < 4")
    try:
        text = "SELECT s.t, count(*) FROM seen AS s JOIN pg.public.one AS a ON a.id = s.id JOIN pg.public.two AS b ON b.id = a.id GROUP BY s.t"
        assert ' JOIN "public"."two"' in explained(attached, text)["source pg"]
        pushed_and_not(attached, text)
    finally:
        attached.execute("DROP VIEW seen")
        attached.execute("DETACH own_files")


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_filters_of_a_file_hold_in_a_plan_that_is_cut(attached: Connection, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"rows.{form}"
    attached.execute(f"COPY (SELECT id, k, t FROM pg.public.one) TO '{path}'")
    attached.execute("ATTACH ? AS own_files", (str(path),))
    text = "SELECT f.t, a.id FROM own_files.public.own_files AS f {} pg.public.one AS a ON a.id = f.id WHERE {}"
    try:
        counts = [
            len(pushed_and_not(attached, text.format(join, condition)))
            for join in ("JOIN", "LEFT JOIN")
            for condition in (
                "true",
                "f.k = 2",
                "f.id < 4",
                "f.k = 2 AND f.id + a.id < 20",
                "f.t LIKE '%a%' AND a.k > 1",
            )
        ]
        assert len({*counts[:5]}) > 3
    finally:
        attached.execute("DETACH own_files")


def test_what_a_third_table_links_is_joined_in_its_source_where_that_leaves_less(attached: Connection) -> None:
    text = (
        "SELECT c.t, a.k, b.t FROM companion AS c, lite.main.one AS a, lite.main.two AS b"
        " WHERE c.id = a.id AND c.id = b.id AND a.k = 2 AND a.t < 'x'"
    )
    assert 'JOIN "main"."two"' in explained(attached, text)["source lite"]
    pushed_and_not(attached, text)
    without_a_key = (
        "SELECT c.t FROM companion AS c, lite.main.one AS a, lite.main.two AS b WHERE c.id = a.big AND c.id = b.big"
    )
    assert " JOIN " not in explained(attached, without_a_key)["source lite"]
    pushed_and_not(attached, without_a_key)


def test_a_semi_join_with_few_rows_is_made_before_the_joins_and_its_keys_are_asked_for(
    attached: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "_LARGE", 20)
    text = (
        "SELECT a.id, b.t, f.k FROM pg.public.one AS a JOIN pg.public.two AS b ON a.id = b.id JOIN filed.public.one AS f ON f.id = a.id"
        " WHERE a.id IN (SELECT id FROM companion GROUP BY id HAVING max(t) > 'y' AND count(*) {})"
    )
    found = pushed_and_not(attached, text.format("= 1"))
    assert found
    plan = explained(attached, f"ANALYZE {text.format('= 1')}")["source pg"]
    assert ' JOIN "public"."two"' in plan and " IN (" in plan and f"rows: {len(found)};" in plan
    assert pushed_and_not(attached, text.format("> 1")) == []


@pytest.mark.parametrize("source", [PG, LITE, DUCK])
def test_the_value_of_a_sub_query_is_computed_where_the_rest_is(attached: Connection, source: str) -> None:
    text = f"SELECT count(*) FROM {source}.one WHERE id < (SELECT count(*) FROM {source}.two)"
    plan = explained(attached, text)
    assert "(SELECT count(" in plan[f"source {source.partition('.')[0]}"] and "computed here" not in plan
    assert pushed_and_not(attached, text) == [(45,)]
    elsewhere = f"SELECT count(*) FROM {source}.one WHERE id < (SELECT count(*) FROM companion)"
    assert "a sub-query is computed here" in explained(attached, elsewhere)["computed here"]
    assert pushed_and_not(attached, elsewhere) == [(30,)]


@pytest.mark.parametrize("join", ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
def test_a_condition_of_a_join_about_one_side_alone_holds(attached: Connection, join: str) -> None:
    for own in ("a1.id = a1.big", "a0.id = a0.big"):
        text = (
            f"SELECT a0.id, a1.id AS other FROM pg.public.one AS a0 {join} filed.public.one AS a1 ON a0.t = a1.t AND {own}"
            " JOIN pg.public.one AS a2 ON a0.t = a2.t OR a1.t = a2.t"
        )
        assert pushed_and_not(attached, text) or join == "JOIN"
