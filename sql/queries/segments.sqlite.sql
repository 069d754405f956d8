-- Catalogue of segments, for SQLite. No text or blob column may come back NULL.

-- name: segments_of
-- ?1 topic, ?2 and ?3: the offsets that they meet.
-- returns: topic int64, first_offset int64, end_offset int64, first_us int64, last_us int64, version int64, row_count int64, file_bytes int64, footer int64, path utf8, encoded utf8, tenants utf8, ranges binary
SELECT topic, first_offset, end_offset, first_us, last_us, version, row_count, file_bytes, footer, path, encoded, tenants, ranges
FROM segment
WHERE topic = ?1 AND end_offset > ?2 AND first_offset < ?3
ORDER BY first_offset;

-- name: segment_at
-- ?1 topic, ?2 an offset: the segment that has it, unless it was truncated.
-- returns: topic int64, first_offset int64, end_offset int64, first_us int64, last_us int64, version int64, row_count int64, file_bytes int64, footer int64, path utf8, encoded utf8, tenants utf8, ranges binary
SELECT topic, s.first_offset, end_offset, first_us, last_us, s.version, row_count, file_bytes, footer, path, encoded, tenants, ranges
FROM topic AS t, (SELECT * FROM segment WHERE topic = ?1 AND first_offset <= ?2 ORDER BY first_offset DESC LIMIT 1) AS s
WHERE t.number = ?1 AND end_offset > ?2 AND t.first_offset <= ?2;

-- name: segment_since
-- ?1 topic, ?2 an offset, ?3 a time: the first segment past the offset with a batch produced at or after the time.
-- returns: topic int64, first_offset int64, end_offset int64, first_us int64, last_us int64, version int64, row_count int64, file_bytes int64, footer int64, path utf8, encoded utf8, tenants utf8, ranges binary
SELECT topic, first_offset, end_offset, first_us, last_us, version, row_count, file_bytes, footer, path, encoded, tenants, ranges
FROM segment
WHERE topic = ?1 AND end_offset > ?2 AND last_us >= ?3
ORDER BY first_offset
LIMIT 1;

-- name: segments_visible
-- ?1 a tenant: the segments of all topics that it sees.
-- returns: topic int64, first_offset int64, end_offset int64, first_us int64, last_us int64, version int64, row_count int64, file_bytes int64, footer int64, path utf8, encoded utf8, tenants utf8, ranges binary
SELECT topic, s.first_offset, end_offset, first_us, last_us, s.version, row_count, file_bytes, footer, path, encoded, tenants, ranges
FROM segment AS s JOIN topic AS t ON t.number = s.topic
WHERE t.tenant IN ('', ?1)
ORDER BY topic, s.first_offset;

-- name: segment_batches
-- returns: checksum int64, batches binary
SELECT checksum, batches FROM segment WHERE topic = ?1 AND first_offset = ?2 AND path = ?3;

-- name: insert_segment
INSERT INTO segment
    (topic, first_offset, end_offset, first_us, last_us, version, row_count, file_bytes, footer, path, encoded, tenants, checksum, ranges, batches)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15);

-- name: raise_hot_offset
-- ?1 topic, ?2 the hot offset so far, ?3 the new one, ?4 when the last batch before it was produced.
UPDATE topic SET
    hot_offset = ?3,
    floor_offset = max(floor_offset, ?3),
    floor_us = max(floor_us, ?4)
WHERE number = ?1 AND hot_offset = ?2;

-- name: note_dropped_segments
-- ?1 topic, ?2: its segments that end at or before this offset, ?3 the time.
INSERT INTO dropped_segment (path, dropped_us)
SELECT path, ?3 FROM segment WHERE topic = ?1 AND end_offset <= ?2;

-- name: delete_segments
DELETE FROM segment WHERE topic = ?1 AND end_offset <= ?2;

-- name: note_dropped_segment
INSERT INTO dropped_segment (path, dropped_us)
SELECT path, ?2 FROM segment WHERE path = ?1;

-- name: delete_segment
DELETE FROM segment WHERE topic = ?1 AND first_offset = ?2 AND path = ?3;

-- name: dropped_segments
-- returns: path utf8, dropped_us int64
SELECT path, dropped_us FROM dropped_segment ORDER BY dropped_us;

-- name: forget_dropped_segment
DELETE FROM dropped_segment WHERE path = ?1;

-- name: known_paths
-- returns: path utf8
SELECT path FROM segment UNION ALL SELECT path FROM dropped_segment;

-- name: segment_sizes
-- returns: path utf8, file_bytes int64
SELECT path, file_bytes FROM segment;

-- name: segment_folders
-- The topics, whose identities name the folders of their segments.
-- returns: uuid utf8
SELECT uuid FROM topic;

-- name: hot_stretches
-- The topics with batches outside of segments, and those with left-overs of a compaction.
-- returns: number int64, hot_offset int64, next_offset int64, oldest_offset int64
SELECT
    number,
    hot_offset,
    coalesce((SELECT offset + 1 FROM batch WHERE topic = number ORDER BY offset DESC LIMIT 1), floor_offset) AS next_offset,
    (SELECT offset FROM batch WHERE topic = number ORDER BY offset LIMIT 1) AS oldest_offset
FROM topic
WHERE EXISTS (SELECT 1 FROM batch WHERE topic = number);

-- name: hot_size
-- ?1 topic, offsets from ?2 and before ?3.
-- returns: row_count int64, byte_count int64
SELECT coalesce(sum(row_count), 0) AS row_count, coalesce(sum(byte_count), 0) AS byte_count
FROM batch
WHERE topic = ?1 AND offset >= ?2 AND offset < ?3;

-- name: remove_left_overs
-- ?1 topic, ?2 a number of batches: the oldest ones that are in segments.
DELETE FROM batch
WHERE topic = ?1 AND offset IN (
    SELECT b.offset FROM batch AS b JOIN topic AS t ON t.number = b.topic
    WHERE b.topic = ?1 AND b.offset < t.hot_offset ORDER BY b.offset LIMIT ?2
);

-- name: facility
-- returns: value utf8
SELECT value FROM facility WHERE name = ?1;

-- name: set_facility
INSERT INTO facility (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING;

-- name: forget_facility
DELETE FROM facility WHERE name = ?1;

-- name: forget_all_dropped
DELETE FROM dropped_segment;
