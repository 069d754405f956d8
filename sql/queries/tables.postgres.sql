-- Catalogue of companion tables, for PostgreSQL. "locks" is what a transaction adds to a query: who looks a
-- table up in one keeps it as it is until the end.

-- name: tables_visible
-- returns: number int64, tenant utf8, namespace utf8, name utf8, storage utf8, details utf8, specials utf8, schema_version int64, data_version int64, checksum int64, ipc binary
SELECT number, tenant, namespace, name, storage, details, specials, schema_version, data_version, checksum, ipc
FROM companion
WHERE tenant IN ('', $1)
ORDER BY namespace, name, tenant;

-- name: tables_named
-- locks: FOR NO KEY UPDATE
-- returns: number int64, tenant utf8, namespace utf8, name utf8, storage utf8, details utf8, specials utf8, schema_version int64, data_version int64, checksum int64, ipc binary
SELECT number, tenant, namespace, name, storage, details, specials, schema_version, data_version, checksum, ipc
FROM companion
WHERE tenant IN ('', $1) AND name = ANY (ARRAY(SELECT json_array_elements_text($2::json)))
ORDER BY namespace, name, tenant;

-- name: table_numbered
-- locks: FOR NO KEY UPDATE
-- returns: number int64, tenant utf8, namespace utf8, name utf8, storage utf8, details utf8, specials utf8, schema_version int64, data_version int64, checksum int64, ipc binary
SELECT number, tenant, namespace, name, storage, details, specials, schema_version, data_version, checksum, ipc
FROM companion
WHERE number = $1;

-- name: data_versions
-- locks: FOR NO KEY UPDATE
-- returns: number int64, data_version int64
SELECT number, data_version FROM companion WHERE number = ANY (translate($1, '[]', '{}')::BIGINT[])
ORDER BY number;

-- name: insert_table
INSERT INTO companion
    (number, tenant, namespace, name, storage, details, specials, schema_version, data_version, created_us, checksum, ipc)
VALUES ($1, $2, $3, $4, $5, $6, '[]', 1, 1, $7, $8, $9);

-- name: alter_table
UPDATE companion SET
    details = $2, checksum = $3, ipc = $4, specials = $5,
    schema_version = schema_version + 1, data_version = data_version + 1
WHERE number = $1;

-- name: rename_table
UPDATE companion SET namespace = $2, name = $3, schema_version = schema_version + 1 WHERE number = $1;

-- name: raise_data_version
UPDATE companion SET data_version = data_version + 1 WHERE number = $1;

-- name: lower_data_version
UPDATE companion SET data_version = data_version - 1 WHERE number = $1;

-- name: set_specials
UPDATE companion SET specials = $2 WHERE number = $1;

-- name: delete_table
DELETE FROM companion WHERE number = $1;

-- name: topic_of_name
-- returns: present int64
SELECT (SELECT count(*) FROM topic WHERE tenant = $1 AND namespace = $2 AND name = $3)
    + (SELECT count(*) FROM cached WHERE tenant = $1 AND namespace = $2 AND name = $3) AS present;
