-- Catalogue and log of topics, for PostgreSQL. The tenant '*' is everybody. "locks" is what a transaction
-- adds to a query. Where parameters come as a batch, each is an array.

-- name: append_batch
-- Topic, namespace, name, version, tenant, row_count, checksum, ranges, payload, and the time.
-- returns: offset int64, produced_us int64
SELECT "offset", produced_us FROM append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: append_batches
-- The same as arrays of the same length: all of them, or none.
-- returns: offset int64, produced_us int64
SELECT "offset", produced_us FROM append_batches($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: batch_headers
-- returns: offset int64, produced_us int64, version int64, row_count int64, byte_count int64, checksum int64, tenant utf8
SELECT "offset", produced_us, version, row_count, byte_count, checksum, tenant
FROM batch
WHERE topic = $1 AND "offset" >= $2 AND "offset" < $3 AND ($4 = '*' OR tenant IN ('', $4))
ORDER BY "offset"
LIMIT $5;

-- name: batches_within
-- Batches of at most $6 bytes together, or one. What is not returned is not read: a large payload is beside its row.
-- returns: offset int64, produced_us int64, version int64, row_count int64, payload binary, checksum int64, tenant utf8
SELECT "offset", produced_us, version, row_count, payload, checksum, tenant
FROM (
    SELECT
        "offset", produced_us, version, row_count, byte_count, payload, checksum, tenant,
        sum(byte_count::FLOAT8) OVER (ORDER BY "offset" ROWS UNBOUNDED PRECEDING) AS size
    FROM batch
    WHERE topic = $1 AND "offset" >= $2 AND "offset" < $3 AND ($4 = '*' OR tenant IN ('', $4))
    ORDER BY "offset"
    LIMIT $5
) AS b
WHERE size <= $6 OR size = byte_count
ORDER BY "offset";

-- name: batch_headers_with_ranges
-- returns: offset int64, produced_us int64, version int64, row_count int64, byte_count int64, checksum int64, ranges binary, tenant utf8
SELECT "offset", produced_us, version, row_count, byte_count, checksum, ranges, tenant
FROM batch
WHERE topic = $1 AND "offset" >= $2 AND "offset" < $3 AND ($4 = '*' OR tenant IN ('', $4))
ORDER BY "offset"
LIMIT $5;

-- name: batch_payloads
-- Arrays of the same length: topic, the first and the last offset of a run, and the tenant. Runs are in order.
-- returns: payload binary
SELECT b.payload
FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[]) AS r (topic, first, last, tenant)
JOIN batch AS b
    ON b.topic = r.topic AND b."offset" >= r.first AND b."offset" <= r.last AND (r.tenant = '*' OR b.tenant IN ('', r.tenant))
ORDER BY b."offset";

-- name: batch_counts
-- returns: offset int64, row_count int64, produced_us int64, tenant utf8
SELECT "offset", row_count, produced_us, tenant FROM batch
WHERE topic = $1 AND "offset" >= $2 AND "offset" < $3 AND ($4 = '*' OR tenant IN ('', $4))
ORDER BY "offset"
LIMIT $5;

-- name: topic_heads
-- returns: number int64, first_offset int64, hot_offset int64, next_offset int64
SELECT
    number,
    first_offset,
    hot_offset,
    next_offset
FROM topic
WHERE number = ANY (translate($1, '[]', '{}')::BIGINT[]);

-- name: first_offset_since
-- returns: offset int64
SELECT "offset" FROM batch WHERE topic = $1 AND "offset" >= $2 AND produced_us >= $3 ORDER BY "offset" LIMIT 1;

-- name: first_visible_offset_since
-- returns: offset int64
SELECT "offset" FROM batch
WHERE topic = $1 AND "offset" >= $2 AND produced_us >= $3 AND tenant IN ('', $4)
ORDER BY "offset"
LIMIT 1;

-- name: newest_past_size
-- returns: offset int64
SELECT "offset"
FROM (SELECT "offset", sum(byte_count) OVER (ORDER BY "offset" DESC) AS kept FROM batch WHERE topic = $1 AND "offset" >= $2) AS kept
WHERE kept > $3
ORDER BY "offset" DESC
LIMIT 1;

-- name: topics_with_retention
-- returns: number int64, uuid utf8, tenant utf8, namespace utf8, name utf8, metadata utf8, version int64, checksum int64, first_offset int64, hot_offset int64, next_offset int64
SELECT
    number, uuid, tenant, namespace, name, metadata, version,
    (SELECT s.checksum FROM topic_schema AS s WHERE s.topic = number AND s.version = topic.version) AS checksum,
    first_offset,
    hot_offset,
    next_offset
FROM topic
WHERE metadata LIKE '%"retention"%' OR metadata LIKE '%"retention_bytes"%';

-- name: raise_floor
UPDATE topic SET first_offset = greatest(first_offset, $2), hot_offset = greatest(hot_offset, $2) WHERE number = $1;

-- name: remove_batches
DELETE FROM batch WHERE topic = $1 AND "offset" < $2;

-- name: topic_totals
-- returns: number int64, row_count int64, byte_count int64
SELECT number, sum(row_count)::BIGINT AS row_count, sum(byte_count)::BIGINT AS byte_count
FROM topic AS t JOIN batch AS b ON b.topic = t.number AND b."offset" >= t.hot_offset
WHERE b.tenant IN ('', $1)
GROUP BY number;

-- name: topics_visible
-- returns: number int64, uuid utf8, tenant utf8, namespace utf8, name utf8, metadata utf8, version int64, checksum int64, first_offset int64, hot_offset int64, next_offset int64
SELECT
    number, uuid, tenant, namespace, name, metadata, version,
    (SELECT s.checksum FROM topic_schema AS s WHERE s.topic = number AND s.version = topic.version) AS checksum,
    first_offset,
    hot_offset,
    next_offset
FROM topic
WHERE tenant IN ('', $1)
ORDER BY namespace, name, tenant;

-- name: topics_named
-- returns: number int64, uuid utf8, tenant utf8, namespace utf8, name utf8, metadata utf8, version int64, checksum int64, first_offset int64, hot_offset int64, next_offset int64
SELECT
    number, uuid, tenant, namespace, name, metadata, version,
    (SELECT s.checksum FROM topic_schema AS s WHERE s.topic = number AND s.version = topic.version) AS checksum,
    first_offset,
    hot_offset,
    next_offset
FROM topic
WHERE tenant IN ('', $1) AND name = ANY (ARRAY(SELECT json_array_elements_text($2::json)))
ORDER BY namespace, name, tenant;

-- name: topic_by_uuid
-- returns: number int64, uuid utf8, tenant utf8, namespace utf8, name utf8, metadata utf8, version int64, checksum int64, first_offset int64, hot_offset int64, next_offset int64
SELECT
    number, uuid, tenant, namespace, name, metadata, version,
    (SELECT s.checksum FROM topic_schema AS s WHERE s.topic = number AND s.version = topic.version) AS checksum,
    first_offset,
    hot_offset,
    next_offset
FROM topic
WHERE uuid = $1;

-- name: topic_by_number
-- locks: FOR UPDATE
-- returns: number int64, uuid utf8, tenant utf8, namespace utf8, name utf8, metadata utf8, version int64, checksum int64, first_offset int64, hot_offset int64, next_offset int64
SELECT
    number, uuid, tenant, namespace, name, metadata, version,
    (SELECT s.checksum FROM topic_schema AS s WHERE s.topic = number AND s.version = topic.version) AS checksum,
    first_offset,
    hot_offset,
    next_offset
FROM topic
WHERE number = $1;

-- name: topic_schemas
-- returns: version int64, checksum int64, ipc binary
SELECT version, checksum, ipc FROM topic_schema WHERE topic = $1 ORDER BY version;

-- name: insert_topic
INSERT INTO topic
    (number, uuid, tenant, namespace, name, metadata, version, first_offset, hot_offset, next_offset, last_us, created_us)
VALUES ($1, $2, $3, $4, $5, $6, 1, 0, 0, 0, 0, $7);

-- name: insert_topic_schema
INSERT INTO topic_schema (topic, version, checksum, ipc) VALUES ($1, $2, $3, $4);

-- name: set_topic_version
UPDATE topic SET version = $2 WHERE number = $1;

-- name: set_topic_metadata
UPDATE topic SET metadata = $2 WHERE number = $1;

-- name: rename_topic
UPDATE topic SET namespace = $2, name = $3 WHERE number = $1;

-- name: delete_topic_batches
DELETE FROM batch WHERE topic = $1;

-- name: delete_topic
DELETE FROM topic WHERE number = $1;

-- name: namespaces
-- returns: name utf8, tenant utf8
SELECT name, tenant FROM namespace WHERE tenant IN ('', $1)
UNION
SELECT namespace, tenant FROM topic WHERE tenant IN ('', $1)
UNION
SELECT namespace, tenant FROM companion WHERE tenant IN ('', $1)
UNION
SELECT namespace, tenant FROM cached WHERE tenant IN ('', $1)
ORDER BY 1;

-- name: insert_namespace
INSERT INTO namespace (tenant, name) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: delete_namespace
DELETE FROM namespace WHERE tenant = $1 AND name = $2;

-- name: table_of_name
-- returns: present int64
SELECT (SELECT count(*) FROM companion WHERE tenant = $1 AND namespace = $2 AND name = $3)
    + (SELECT count(*) FROM cached WHERE tenant = $1 AND namespace = $2 AND name = $3) AS present;
