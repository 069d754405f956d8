"""Segments in an object store, against a local server that speaks S3."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Connection, connect
from jammi_sql.errors import DataCorrupted, InvalidParameter

BUCKET = "jammi-segments"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Host and port of a server of its own, on loopback."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes long, and each worker would do it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The location of segments in an empty bucket; credentials are in the environment, as on a user's machine."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    import boto3  # noqa: PLC0415 - as above

    client = boto3.client("s3", endpoint_url=f"http://{endpoint}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}/events?region=us-east-1&scheme=http&endpoint_override={endpoint}"
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.close()


def filled(connection: Connection) -> None:
    connection.execute("CREATE TOPIC events (id BIGINT, name VARCHAR)")
    for start in (0, 100, 200):
        connection.execute("INSERT INTO events SELECT value + ?, 'n' || value FROM generate_series(1, 100)", (start,))
    assert connection.execute("CALL jammi.compact('events')").fetchall() == [("events", 1, 300)]


def test_a_topic_is_read_from_a_bucket_by_datafusion_and_by_replay(tmp_path: Path, bucket: str) -> None:
    with connect(tmp_path / "store", segments=bucket) as connection:
        filled(connection)
        connection.execute("INSERT INTO events VALUES (1000, 'new')")
        (path,) = connection.execute("SELECT path FROM jammi.system.segments").fetchall()[0]
        assert path.startswith(f"s3://{BUCKET}/events/")
        assert connection.execute("SELECT count(*), sum(id) FROM events").fetchone() == (301, 46150)
        assert connection.execute("SELECT id FROM events WHERE name = 'n7' ORDER BY id").fetchall() == [
            (7,),
            (107,),
            (207,),
        ]
        plan = "\n".join(row[1] for row in connection.execute("EXPLAIN SELECT sum(id) FROM events").fetchall())
        assert "file_type=parquet" in plan
        topic = connection.engine.topic_repo.lookup_by_name("events")
        assert topic is not None
        replayed = connection.engine.subscriber.replay_only(topic, None, 0)
        assert [(one.offset.value, one.batch.num_rows) for one in replayed] == [(0, 100), (1, 100), (2, 100), (3, 1)]


def test_the_location_is_kept_and_is_not_changed_by_later_connections(tmp_path: Path, bucket: str) -> None:
    with connect(tmp_path / "store", segments=bucket) as connection:
        filled(connection)
    with connect(tmp_path / "store") as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (300,)
    with pytest.raises(InvalidParameter, match="the segments of this store are at s3://"):
        connect(tmp_path / "store", segments=str(tmp_path / "elsewhere"))
    assert list((tmp_path / "store" / "segments").glob("*/*.parquet")) == []


def test_a_backup_fetches_the_files(tmp_path: Path, bucket: str) -> None:
    with connect(tmp_path / "store", segments=bucket) as connection:
        filled(connection)
        connection.backup(tmp_path / "copy")
    with connect(tmp_path / "copy") as copy:
        assert copy.execute("SELECT count(*), sum(id) FROM events").fetchone() == (300, 45150)
        (path,) = copy.execute("SELECT path FROM jammi.system.segments").fetchall()[0]
        assert Path(path).is_relative_to(tmp_path / "copy")


def test_files_of_dropped_segments_leave_the_bucket(tmp_path: Path, bucket: str) -> None:
    with connect(tmp_path / "store", segments=bucket, segment_grace=0, compaction=False) as connection:
        filled(connection)
        segments = connection.engine.services.segments
        assert len(list(segments.storage.files())) == 1
        connection.execute("TRUNCATE TOPIC events BEFORE 3")
        segments.sweeper.round(threading.Event())
        assert list(segments.storage.files()) == []


def test_an_object_that_is_missing_is_named(tmp_path: Path, bucket: str) -> None:
    with connect(tmp_path / "store", segments=bucket) as connection:
        filled(connection)
        storage = connection.engine.services.segments.storage
        for file in list(storage.files()):
            storage.delete(file.path)
    with connect(tmp_path / "store") as connection:
        with pytest.raises(DataCorrupted, match=r"topic events: segment s3://.*offsets 0 to 2, is missing"):
            connection.execute("SELECT sum(id) FROM events").fetchall()
        connection.execute("INSERT INTO events VALUES (1, 'a')")
        assert connection.execute("SELECT id FROM events WHERE _offset >= 3").fetchall() == [(1,)]


def test_credentials_are_no_part_of_a_location(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="holds no credentials"):
        connect(tmp_path / "store", segments="s3://key:secret@bucket/events")
