"""Attached files: which relations a place has, what their columns are, and that no row is wrong."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql.errors import Error, FeatureNotSupported, InvalidParameter, OperationalError, PermissionDenied
from jammi_sql.sources import SourceDefinition
from jammi_sql.sources.files import OPTIONS, open_files
from jammi_sql.sources.files.globs import matcher
from jammi_sql.sources.files.reading import scratch_context
from tests.files_support import attached, rows_of, the, write


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# --- names ---------------------------------------------------------------------------------------


def test_every_file_and_every_folder_of_a_folder_is_a_relation(tmp_path: Path) -> None:
    write(tmp_path / "orders.parquet", [{"a": 1}])
    text(tmp_path / "people.csv", "id,name\n1,ann\n")
    text(tmp_path / "events.ndjson", '{"a": 1}\n')
    write(tmp_path / "lines" / "deep" / "one.parquet", [{"a": 2}])
    text(tmp_path / "README", "no data")
    text(tmp_path / ".hidden.csv", "a\n1\n")
    text(tmp_path / "_SUCCESS", "")
    source = attached(tmp_path)
    assert source.schemas() == ["public"]
    assert source.relation_names("public") == ["events", "lines", "orders", "people"]
    assert source.relation_names("other") == []
    assert source.relation("other", "orders") is None and source.relation("public", "README") is None
    assert rows_of(source, "lines") == [(2,)]
    assert rows_of(source, "people") == [(1, "ann")]


def test_of_several_with_one_name_the_folder_has_it_then_parquet_and_all_are_reached_by_their_whole_names(
    tmp_path: Path,
) -> None:
    write(tmp_path / "x" / "part.parquet", [{"a": "folder"}])
    write(tmp_path / "x.parquet", [{"a": "parquet"}])
    text(tmp_path / "x.csv", "a\ncsv\n")
    text(tmp_path / "y.csv", "a\ncsv\n")
    text(tmp_path / "y.json", '{"a": "json"}\n')
    source = attached(tmp_path)
    assert source.relation_names("public") == ["x", "x.csv", "x.parquet", "y", "y.json"]
    for name, value in {
        "x": "folder", "x.csv": "csv", "x.parquet": "parquet", "y": "csv", "y.json": "json", "y.csv": "csv",
    }.items():  # fmt: skip
        assert rows_of(source, name) == [(value,)]


def test_a_file_and_a_glob_are_one_relation_with_the_name_of_the_attachment(tmp_path: Path) -> None:
    write(tmp_path / "2024" / "a.parquet", [{"a": 1}])
    write(tmp_path / "2025" / "b.parquet", [{"a": 2}])
    text(tmp_path / "2025" / "b.csv", "a\n3\n")
    single, glob = attached(tmp_path / "2024" / "a.parquet"), attached(tmp_path / "*" / "*.parquet")
    assert single.relation_names("public") == glob.relation_names("public") == ["lake"]
    assert single.relation("public", "a") is None
    assert rows_of(single) == [(1,)]
    assert rows_of(glob) == [(1,), (2,)]
    assert rows_of(attached(f"{tmp_path}/**/[ab].parquet")) == [(1,), (2,)]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.csv", "a.csv", True), ("*.csv", "a/b.csv", False), ("a?.csv", "ab.csv", True), ("a?.csv", "a.csv", False),
        ("**/*.csv", "a.csv", True), ("**/*.csv", "a/b/c.csv", True), ("a/**", "a/b/c.csv", True),
        ("[!a]*.csv", "b.csv", True), ("[!a]*.csv", "a.csv", False), ("[a-c].csv", "b.csv", True),
        ("a+(1).csv", "a+(1).csv", True), ("[.csv", "[.csv", True),
    ],
)  # fmt: skip
def test_a_pattern_means_what_a_shell_means_by_it(pattern: str, path: str, matches: bool) -> None:
    assert bool(matcher(pattern.split("/")).fullmatch(path)) is matches


def test_a_name_with_signs_of_a_pattern_is_a_name_where_the_file_is_there(tmp_path: Path) -> None:
    write(tmp_path / "a [1] ä%20b?.parquet", [{"a": 1}])
    assert rows_of(attached(tmp_path / "a [1] ä%20b?.parquet")) == [(1,)]
    assert rows_of(attached((tmp_path / "a [1] ä%20b?.parquet").as_uri())) == [(1,)]
    assert attached(tmp_path).relation_names("public") == ["a [1] ä%20b?"]


# --- freshness -----------------------------------------------------------------------------------


def test_a_file_that_appears_later_is_found_and_one_that_changed_is_read_anew(tmp_path: Path) -> None:
    source = attached(tmp_path)
    assert source.relation_names("public") == []
    write(tmp_path / "t" / "1.parquet", [{"a": 1}])
    assert rows_of(source, "t") == [(1,)]
    write(tmp_path / "t" / "2.parquet", [{"a": 2, "b": "new"}])
    assert rows_of(source, "t") == [(1, None), (2, "new")]
    write(tmp_path / "t" / "1.parquet", [{"c": 1.5}])
    assert the(source, "t").schema.names == ["c", "a", "b"]
    os.unlink(tmp_path / "t" / "1.parquet")
    assert rows_of(source, "t") == [(2, "new")]
    source.refresh()
    source.close()
    assert rows_of(source, "t") == [(2, "new")]


def test_a_file_that_cannot_be_read_is_an_error_of_its_relation_when_it_is_used(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet", [{"a": 1}])
    text(tmp_path / "bad.parquet", "this is no parquet file")
    (tmp_path / "empty").mkdir()
    source = attached(tmp_path)
    assert source.relation_names("public") == ["bad", "empty", "good"]
    assert rows_of(source, "good") == [(1,)]
    with pytest.raises(OperationalError, match=r"bad.parquet cannot be read: .*[Pp]arquet") as caught:
        _ = the(source, "bad").schema
    assert caught.value.sqlstate == "58030"
    with pytest.raises(OperationalError, match=r"there are no files at .*empty") as caught:
        _ = the(source, "empty").schema
    assert caught.value.sqlstate == "58P01"
    for uri in (tmp_path / "none", tmp_path / "none.parquet"):
        with pytest.raises(OperationalError, match=r"there is no .*none") as caught:
            attached(uri).relation_names("public")
        assert caught.value.sqlstate == "58P01"
    with pytest.raises(OperationalError, match="there are no files at"):
        rows_of(attached(tmp_path / "*.csv"))


def test_a_file_that_is_gone_or_changed_since_it_was_listed_is_an_error_and_no_missing_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "t" / "1.parquet", [{"a": 1}])
    write(tmp_path / "t" / "2.parquet", [{"a": 2}])
    relation = the(attached(tmp_path), "t")
    relation.frame(scratch_context())
    relation.check_files()
    write(path, [{"a": 1}, {"a": 3}])
    with pytest.raises(OperationalError, match=r"1.parquet was changed while it was read") as caught:
        relation.check_files()
    assert caught.value.sqlstate == "55000"
    path.unlink()
    with pytest.raises(OperationalError, match=r"there is no .*1.parquet") as caught:
        relation.check_files()
    assert caught.value.sqlstate == "58P01"


def test_a_path_is_asked_for_before_it_is_listed_or_read_with_its_links_resolved(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    write(inside / "a.parquet", [{"a": 1}])
    write(outside / "secret.parquet", [{"a": 2}])
    (inside / "link.parquet").symlink_to(outside / "secret.parquet")
    (inside / "folder").symlink_to(outside)

    def allowed(path: str) -> None:
        if not Path(path).is_relative_to(inside):
            raise PermissionDenied(f"{path} is outside")

    source = open_files(SourceDefinition("lake", "files", str(inside / ".." / "inside")), allowed)
    with pytest.raises(PermissionDenied, match=r"secret.parquet is outside"):
        source.relation_names("public")
    (inside / "link.parquet").unlink()
    assert source.relation_names("public") == ["a", "folder"]
    assert rows_of(source, "a") == [(1,)]
    with pytest.raises(PermissionDenied, match="outside is outside"):
        rows_of(source, "folder")
    with pytest.raises(PermissionDenied):
        open_files(SourceDefinition("lake", "files", str(outside / "*.parquet")), allowed).relation_names("public")


def test_a_link_that_leads_back_does_not_lead_round_and_round(tmp_path: Path) -> None:
    write(tmp_path / "t" / "1.parquet", [{"a": 1}])
    (tmp_path / "t" / "again").symlink_to(tmp_path / "t")
    assert rows_of(attached(tmp_path), "t") == [(1,)]


# --- formats -------------------------------------------------------------------------------------


def avro_bytes() -> bytes:
    """One row, a=7 and b='x', written by hand: header with its schema, then a block."""

    def number(value: int) -> bytes:
        value = (value << 1) ^ (value >> 63)
        out = b""
        while value >= 0x80:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])

    def data(value: bytes) -> bytes:
        return number(len(value)) + value

    fields = [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]
    schema = json.dumps({"type": "record", "name": "r", "fields": fields}).encode()
    header = (
        b"Obj\x01" + number(2) + data(b"avro.schema") + data(schema) + data(b"avro.codec") + data(b"null") + number(0)
    )
    sync = bytes(range(16))
    row = number(7) + data(b"x")
    return header + sync + number(1) + number(len(row)) + row + sync


@pytest.mark.parametrize(
    "ending", ["parquet", "csv", "tsv", "json", "jsonl", "ndjson", "arrow", "feather", "ipc", "avro"]
)
def test_each_format_is_known_by_its_ending(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    table = pa.table({"a": [7], "b": ["x"]})
    if ending == "parquet":
        pq.write_table(table, path)
    elif ending in ("csv", "tsv"):
        path.write_text({"csv": "a,b\n7,x\n", "tsv": "a\tb\n7\tx\n"}[ending])
    elif ending in ("json", "jsonl", "ndjson"):
        path.write_text('{"a": 7, "b": "x"}\n')
    elif ending == "avro":
        path.write_bytes(avro_bytes())
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    assert rows_of(attached(tmp_path), "t") == [(7, "x")]
    assert the(attached(tmp_path), "t").schema == pa.schema({"a": pa.int64(), "b": pa.string()})
    path.rename(tmp_path / "t.data")
    named = {"jsonl": "ndjson", "ipc": "feather"}.get(ending, ending)
    assert rows_of(attached(tmp_path / "t.data", format=named)) == [(7, "x")]
    with pytest.raises(InvalidParameter, match="says no format"):
        rows_of(attached(tmp_path / "t.data"))


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_compressed_text_is_known_by_its_ending_too(tmp_path: Path, ending: str) -> None:
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[ending]
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / f"1.csv.{ending}").write_bytes(pack(b"a,b\n1,x\n"))
    (tmp_path / "t" / "2.csv").write_text("a,b\n2,y\n")
    (tmp_path / f"j.json.{ending}").write_bytes(pack(b'{"a": 3}\n'))
    (tmp_path / f"raw.{ending}").write_bytes(pack(b"a\n4\n"))
    source = attached(tmp_path)
    assert rows_of(source, "t") == [(1, "x"), (2, "y")]
    assert rows_of(source, "j") == [(3,)]
    assert rows_of(attached(tmp_path / f"raw.{ending}", format="csv")) == [(4,)]


def test_the_options_of_csv_say_how_its_text_is_read(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", "1;'it''s';NA\n2;'two\nlines';\n")
    source = attached(path, header="false", delimiter=";", quote="'", null="NA")
    assert the(source).schema.names == ["column_1", "column_2", "column_3"]
    assert rows_of(source) == [(1, "it's", None), (2, "two\nlines", "")]
    escaped = text(tmp_path / "e.csv", 'a\n"say \\"hi\\""\n')
    assert rows_of(attached(escaped, escape="\\")) == [('say "hi"',)]
    signs = text(tmp_path / "n.csv", "a,b\nx,(N.A)\nx,NxA\n")
    assert rows_of(attached(signs, null="(N.A)")) == [("x", "NxA"), ("x", None)]
    later = text(tmp_path / "l.csv", "a\n" + "1\n" * 20 + "x\n")
    with pytest.raises(Exception, match=r"Parser error|Error while parsing"):
        rows_of(attached(later, schema_infer_rows="10"))
    assert the(attached(later, schema_infer_rows="100")).schema.field("a").type == pa.string()


def test_a_line_end_within_quotes_is_kept_however_large_the_file_is(tmp_path: Path) -> None:
    """DataFusion reads a file of 10 MB and more in parts, which begin at line ends."""
    value = "x" * 500 + "\n" + "y" * 500 + "\n1,2"
    path = text(tmp_path / "t.csv", "a,b\n" + f'1,"{value}"\n' * 11_003)
    relation = the(attached(path))
    table = relation.frame(scratch_context()).to_arrow_table()
    assert table.num_rows == 11_003
    assert set(table.column("b").to_pylist()) == {value}


# --- several files -------------------------------------------------------------------------------


def test_columns_that_a_file_lacks_are_null_in_every_format(tmp_path: Path) -> None:
    one, two = pa.table({"a": [1], "b": ["x"]}), pa.table({"c": [1.5], "b": ["y"]})
    for name, table in (("1", one), ("2", two)):
        write(tmp_path / "parquet" / f"{name}.parquet", table)
        header, values = ",".join(table.column_names), ",".join(str(v) for v in table.to_pylist()[0].values())
        text(tmp_path / "csv" / f"{name}.csv", f"{header}\n{values}\n")
        text(tmp_path / "json" / f"{name}.json", json.dumps(table.to_pylist()[0]) + "\n")
        (tmp_path / "arrow").mkdir(exist_ok=True)
        with pa.ipc.new_file(tmp_path / "arrow" / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table)
    source = attached(tmp_path)
    for name in ("parquet", "csv", "json", "arrow"):
        relation = the(source, name)
        assert set(relation.schema.names) == {"a", "b", "c"}
        rows = relation.frame(scratch_context()).to_pylist()
        assert sorted(rows, key=lambda row: row["b"]) == [
            {"a": 1, "b": "x", "c": None},
            {"a": None, "b": "y", "c": 1.5},
        ]


def test_the_same_columns_in_another_order_are_not_mixed_up(tmp_path: Path) -> None:
    text(tmp_path / "t" / "1.csv", "a,b\n1,2\n")
    text(tmp_path / "t" / "2.csv", "b,a\n20,10\n")
    assert rows_of(attached(tmp_path), "t") == [(1, 2), (10, 20)]


@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        (pa.int32(), pa.int64(), pa.int64()), (pa.uint32(), pa.int64(), pa.int64()), (pa.int32(), pa.float64(), pa.float64()),
        (pa.float32(), pa.float64(), pa.float64()), (pa.decimal128(5, 2), pa.decimal128(9, 2), pa.decimal128(9, 2)),
        (pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us")), (pa.string(), pa.large_string(), pa.large_string()),
    ],
)  # fmt: skip
def test_types_that_differ_become_the_one_that_holds_both(
    tmp_path: Path, one: pa.DataType, other: pa.DataType, merged: pa.DataType
) -> None:
    def column(data_type: pa.DataType, value: int) -> pa.Table:
        plain: pa.Array = pa.array([str(value)]) if "string" in str(data_type) else pa.array([value], pa.int8())
        return pa.table({"a": plain.cast(pa.int64() if "timestamp" in str(data_type) else data_type).cast(data_type)})

    for ending in ("parquet", "arrow"):
        folder = tmp_path / ending
        folder.mkdir()
        for name, table in (("1", column(one, 1)), ("2", column(other, 2))):
            if ending == "parquet":
                write(folder / f"{name}.parquet", table)
            else:
                with pa.ipc.new_file(folder / f"{name}.arrow", table.schema) as writer:
                    writer.write_table(table)
        relation = the(attached(tmp_path), ending)
        assert relation.schema.field("a").type == merged
        found = relation.frame(scratch_context()).to_arrow_table()
        assert found.schema.field("a").type == merged
        assert set(map(str, found.column("a").to_pylist())) == {
            str(column(one, 1).column(0).cast(merged)[0].as_py()), str(column(other, 2).column(0).cast(merged)[0].as_py()),
        }  # fmt: skip


@pytest.mark.parametrize(("one", "other"), [(["x"], [1]), ([1], [1.5]), ([[1]], [["x"]]), ([{"x": 1}], [{"y": 1}])])
def test_types_that_no_type_holds_are_an_error_that_names_both_files(tmp_path: Path, one: Any, other: Any) -> None:
    write(tmp_path / "t" / "1.parquet", pa.table({"a": one}))
    write(tmp_path / "t" / "2.parquet", pa.table({"a": other}))
    with pytest.raises(Error, match=r"column a is .* in .*1.parquet, and .* in .*2.parquet") as caught:
        _ = the(attached(tmp_path), "t").schema
    assert caught.value.sqlstate == "42804"


def test_guessed_types_that_differ_become_text_or_numbers_with_a_point(tmp_path: Path) -> None:
    text(tmp_path / "t" / "1.csv", "a,b,c\n1,1,\n")
    text(tmp_path / "t" / "2.csv", "a,b,c\nx,1.5,7\n")
    source = attached(tmp_path)
    assert the(source, "t").schema == pa.schema({"a": pa.string(), "b": pa.float64(), "c": pa.int64()})
    assert rows_of(source, "t") == [("1", 1.0, None), ("x", 1.5, 7)]


def test_a_folder_with_files_of_two_formats_is_an_error_unless_one_is_chosen(tmp_path: Path) -> None:
    write(tmp_path / "t" / "1.parquet", [{"a": 1}])
    text(tmp_path / "t" / "2.csv", "a\n2\n")
    with pytest.raises(Error, match=r"several formats: .*1.parquet and .*2.csv") as caught:
        rows_of(attached(tmp_path), "t")
    assert caught.value.sqlstate == "42804"
    assert rows_of(attached(tmp_path / "t" / "*.csv")) == [(2,)]


def test_a_column_that_a_file_has_twice_is_an_error(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", "a,a\n1,2\n")
    with pytest.raises(Exception, match="incorrect number of fields"):
        rows_of(attached(path))


# --- partitions ----------------------------------------------------------------------------------


def test_folders_with_key_and_value_are_columns_of_numbers_dates_and_text(tmp_path: Path) -> None:
    write(tmp_path / "t" / "year=2024" / "day=2024-01-31" / "who=a%20b" / "1.parquet", [{"v": 1}])
    write(tmp_path / "t" / "year=2025" / "day=2025-02-01" / "who=__HIVE_DEFAULT_PARTITION__" / "1.parquet", [{"v": 2}])
    relation = the(attached(tmp_path), "t")
    assert relation.schema == pa.schema({"v": pa.int64(), "year": pa.int64(), "day": pa.date32(), "who": pa.string()})
    assert rows_of(attached(tmp_path), "t") == [(1, 2024, date(2024, 1, 31), "a b"), (2, 2025, date(2025, 2, 1), None)]
    whole = attached(tmp_path / "t")
    assert whole.relation_names("public") == ["lake"]
    assert len(rows_of(whole)) == 2
    plain = attached(tmp_path / "t", hive_partitioning="false")
    assert plain.relation_names("public") == ["year=2024", "year=2025"]
    assert rows_of(plain, "year=2024") == [(1,)]


def test_a_condition_on_a_partition_leaves_the_other_files_alone(tmp_path: Path) -> None:
    for year in range(2000, 2010):
        write(tmp_path / f"year={year}" / "1.parquet", [{"v": year}])
    context = scratch_context()
    context.register_table("t", the(attached(tmp_path)).frame(context).into_view())
    frame = context.sql("SELECT v FROM t WHERE year = 2003")
    assert frame.to_pylist() == [{"v": 2003}]
    assert str(frame.execution_plan()).count(".parquet") == 1


def test_the_path_has_the_last_word_where_the_file_has_the_column_too(tmp_path: Path) -> None:
    write(tmp_path / "k=2" / "1.parquet", [{"v": 1, "k": "other"}])
    write(tmp_path / "k=3" / "1.parquet", [{"v": 2}])
    assert rows_of(attached(tmp_path)) == [(1, 2), (2, 3)]


def test_partition_keys_that_differ_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a=1" / "1.parquet", [{"v": 1}])
    write(tmp_path / "b=1" / "1.parquet", [{"v": 1}])
    with pytest.raises(Error, match=r"partition keys \(b\), .* has \(a\)") as caught:
        rows_of(attached(tmp_path))
    assert caught.value.sqlstate == "42804"


def test_many_partitions_and_many_files_are_read(tmp_path: Path) -> None:
    for number in range(300):
        write(tmp_path / f"k={number % 150}" / f"{number}.parquet", [{"v": number}])
    found = rows_of(attached(tmp_path))
    assert sorted(found) == sorted((number, number % 150) for number in range(300))


# --- estimates, options --------------------------------------------------------------------------


def test_rows_are_counted_in_the_footers_of_local_parquet_files_alone(tmp_path: Path) -> None:
    write(tmp_path / "t" / "1.parquet", pa.table({"a": range(10)}))
    write(tmp_path / "t" / "2.parquet", pa.table({"a": range(5)}))
    text(tmp_path / "c.csv", "a\n1\n")
    source = attached(tmp_path)
    assert the(source, "t").rows == 15
    assert the(source, "c").rows is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "files have no option colour"), ({"header": "maybe"}, "header cannot be 'maybe'"),
        ({"delimiter": "ab"}, "delimiter cannot be"), ({"format": "xlsx"}, "there is no format 'xlsx'"),
        ({"compression": "rar"}, "there is no compression 'rar'"), ({"schema_infer_rows": "0"}, "schema_infer_rows"),
        ({"secret_access_key": "hunter2"}, "takes a reference, not a value"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused_when_the_files_are_attached(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message) as caught:
        attached("/tmp", **options)
    assert "hunter2" not in str(caught.value) and caught.value.hint


def test_every_option_has_a_line_on_it() -> None:
    assert all(OPTIONS.values()) and {"format", "header", "endpoint", "secret_access_key"} <= set(OPTIONS)


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("ftp://host/x", FeatureNotSupported, "cannot be read from ftp"), ("s3://key:hunter2@bucket/x", InvalidParameter, "no credentials"),
        ("http://host/x.csv", FeatureNotSupported, "over https"), ("https://host/x.csv?sig=1", FeatureNotSupported, "no query"),
        ("s3:///x", InvalidParameter, "names no bucket"),
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_is_refused(uri: str, error: type[Error], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        attached(uri)
    assert "hunter2" not in str(caught.value)
