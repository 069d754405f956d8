-- What jammi-sql doctor asks a SQLite store.

-- name: library
-- returns: version utf8
SELECT sqlite_version() AS version;

-- name: newest
-- When the newest batch of all was produced, 0 where there is none.
-- returns: produced_us int64
SELECT coalesce(max(max(
    floor_us,
    coalesce((SELECT produced_us FROM batch WHERE topic = number ORDER BY offset DESC LIMIT 1), 0)
)), 0) AS produced_us
FROM topic;
