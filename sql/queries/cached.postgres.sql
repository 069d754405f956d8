-- Catalogue of cached tables, for PostgreSQL.

-- name: cached_visible
-- $1: a tenant.
-- returns: number int64, tenant utf8, namespace utf8, name utf8, query utf8, home utf8, folder utf8, refresh_us int64, topic int64, path utf8, format utf8, row_count int64, file_bytes int64, refreshed_us int64, seen_offset int64, attempted_us int64, failure utf8, checksum int64, ipc binary
SELECT number, tenant, namespace, name, query, home, folder, refresh_us, topic, path, format, row_count, file_bytes, refreshed_us, seen_offset, attempted_us, failure, checksum, ipc
FROM cached
WHERE tenant IN ('', $1)
ORDER BY namespace, name, tenant;

-- name: cached_of_name
-- $1: a tenant.
-- locks: FOR NO KEY UPDATE
-- returns: number int64, tenant utf8, namespace utf8, name utf8, query utf8, home utf8, folder utf8, refresh_us int64, topic int64, path utf8, format utf8, row_count int64, file_bytes int64, refreshed_us int64, seen_offset int64, attempted_us int64, failure utf8, checksum int64, ipc binary
SELECT number, tenant, namespace, name, query, home, folder, refresh_us, topic, path, format, row_count, file_bytes, refreshed_us, seen_offset, attempted_us, failure, checksum, ipc
FROM cached
WHERE tenant IN ('', $1) AND namespace = $2 AND name = $3
ORDER BY namespace, name, tenant;

-- name: cached_numbered
-- locks: FOR NO KEY UPDATE
-- returns: number int64, tenant utf8, namespace utf8, name utf8, query utf8, home utf8, folder utf8, refresh_us int64, topic int64, path utf8, format utf8, row_count int64, file_bytes int64, refreshed_us int64, seen_offset int64, attempted_us int64, failure utf8, checksum int64, ipc binary
SELECT number, tenant, namespace, name, query, home, folder, refresh_us, topic, path, format, row_count, file_bytes, refreshed_us, seen_offset, attempted_us, failure, checksum, ipc
FROM cached
WHERE number = $1;

-- name: cached_kept
-- Those that are made anew by themselves.
-- returns: number int64, tenant utf8, namespace utf8, name utf8, query utf8, home utf8, folder utf8, refresh_us int64, topic int64, path utf8, format utf8, row_count int64, file_bytes int64, refreshed_us int64, seen_offset int64, attempted_us int64, failure utf8, checksum int64, ipc binary
SELECT number, tenant, namespace, name, query, home, folder, refresh_us, topic, path, format, row_count, file_bytes, refreshed_us, seen_offset, attempted_us, failure, checksum, ipc
FROM cached
WHERE refresh_us > 0 OR topic >= 0
ORDER BY attempted_us;

-- name: name_is_taken
-- returns: present int64
SELECT (SELECT count(*) FROM topic WHERE tenant = $1 AND namespace = $2 AND name = $3)
    + (SELECT count(*) FROM companion WHERE tenant = $1 AND namespace = $2 AND name = $3) AS present;

-- name: insert_cached
INSERT INTO cached
    (number, tenant, namespace, name, query, home, folder, refresh_us, topic, created_us, path, format, row_count, file_bytes, refreshed_us, seen_offset, attempted_us, failure, checksum, ipc)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20);

-- name: move_cached
-- $1 number, $2 the path so far, then the new copy.
UPDATE cached SET
    path = $3, format = $4, row_count = $5, file_bytes = $6, refreshed_us = $7, seen_offset = $8, attempted_us = $9,
    failure = '', checksum = $10, ipc = $11
WHERE number = $1 AND path = $2;

-- name: note_failure
UPDATE cached SET attempted_us = $2, failure = $3 WHERE number = $1;

-- name: delete_cached
DELETE FROM cached WHERE number = $1;

-- name: note_dropped_copy
INSERT INTO dropped_copy (path, dropped_us) VALUES ($1, $2);

-- name: dropped_copies
-- returns: path utf8, dropped_us int64
SELECT path, dropped_us FROM dropped_copy ORDER BY dropped_us;

-- name: forget_dropped_copy
DELETE FROM dropped_copy WHERE path = $1;

-- name: forget_all_dropped_copies
DELETE FROM dropped_copy;

-- name: known_copies
-- returns: path utf8
SELECT path FROM cached UNION ALL SELECT path FROM dropped_copy;

-- name: copy_folders
-- returns: folder utf8
SELECT folder FROM cached;
