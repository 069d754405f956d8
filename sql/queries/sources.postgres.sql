-- Catalogue of an attached PostgreSQL database. information_schema would show only what the role owns or was granted,
-- slowly, and hides materialised views; pg_catalog shows all, and reading says what is not permitted.

-- name: schemas
-- returns: name utf8
SELECT nspname::text AS name
FROM pg_catalog.pg_namespace
WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp_|toast_temp_)'
  AND pg_catalog.has_schema_privilege(oid, 'USAGE')
ORDER BY 1;

-- name: relations
-- returns: name utf8
SELECT c.relname::text AS name
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname::text = $1::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY 1;

-- name: relation
-- returns: oid int64, kind utf8, rows float64
SELECT c.oid::bigint AS oid, c.relkind::text AS kind, c.reltuples::float8 AS rows
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname::text = $1::text AND c.relname::text = $2::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f');

-- name: columns
-- Domains are followed to their base types. "system" is whether a type is PostgreSQL's own, and not one of the same name.
-- returns: name utf8, declared utf8, required int64, type utf8, system int64, kind utf8, category utf8, modifier int64, element utf8, element_system int64, element_kind utf8, deterministic int64
WITH RECURSIVE based AS (
    SELECT a.attnum, a.atttypid AS type, a.atttypmod AS modifier, t.typtype, t.typbasetype, t.typtypmod,
           a.attnotnull AS required
    FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, b.typbasetype, CASE WHEN b.typtypmod = -1 THEN b.modifier ELSE b.typtypmod END,
           t.typtype, t.typbasetype, t.typtypmod, b.required
    FROM based AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.typbasetype
    WHERE b.typtype = 'd'
)
SELECT a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS declared,
       b.required::int::bigint AS required, t.typname::text AS type,
       (n.nspname = 'pg_catalog')::int::bigint AS system, t.typtype::text AS kind, t.typcategory::text AS category,
       b.modifier::bigint AS modifier, coalesce(e.typname, '')::text AS element,
       coalesce(e.typnamespace = 'pg_catalog'::regnamespace, false)::int::bigint AS element_system,
       coalesce(e.typtype::text, '') AS element_kind,
       coalesce(l.collisdeterministic, true)::int::bigint AS deterministic
FROM based AS b
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1::bigint::oid AND a.attnum = b.attnum
JOIN pg_catalog.pg_type AS t ON t.oid = b.type
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
WHERE b.typtype <> 'd'
ORDER BY a.attnum;

-- name: keys
-- One row for each column of each key.
-- returns: key int64, name utf8
SELECT i.indexrelid::bigint AS key, a.attname::text AS name
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1::bigint::oid AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
ORDER BY i.indisprimary DESC, i.indexrelid, k.place;

-- name: pages
-- Of a table whose rows lie in pages; nothing else has ranges of ctid.
-- returns: pages int64, bytes int64
SELECT (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint)::bigint AS pages,
       pg_catalog.current_setting('block_size')::bigint AS bytes
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
WHERE n.nspname::text = $1::text AND c.relname::text = $2::text AND c.relkind IN ('r', 'm') AND m.amname = 'heap';

-- name: temporary_schema
-- returns: name utf8
SELECT nspname::text AS name FROM pg_catalog.pg_namespace WHERE oid = pg_catalog.pg_my_temp_schema();

-- name: export_snapshot
-- returns: snapshot utf8
SELECT pg_catalog.pg_export_snapshot() AS snapshot;

-- name: server_process
-- returns: process int64
SELECT pg_catalog.pg_backend_pid()::bigint AS process;
