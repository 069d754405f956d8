-- Catalogue of an attached SQLite file.

-- name: relations
-- returns: name utf8
SELECT name FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name;

-- name: relation
-- returns: kind utf8, strict int64, rowid int64
SELECT type AS kind, strict, NOT wr AS rowid FROM pragma_table_list WHERE schema = ?1 AND name = ?2;

-- name: columns
-- Those of virtual tables that are hidden are left out, generated ones are there.
-- returns: name utf8, declared utf8, required int64, key int64
SELECT name, coalesce(type, '') AS declared, "notnull" AS required, pk AS key
FROM pragma_table_xinfo(?2, ?1) WHERE hidden <> 1 ORDER BY cid;

-- name: keys
-- returns: key int64, name utf8
SELECT l.seq AS key, coalesce(i.name, '') AS name
FROM pragma_index_list(?2, ?1) AS l, pragma_index_info(l.name, ?1) AS i
WHERE l."unique" AND NOT l.partial
ORDER BY l.origin <> 'pk', l.seq, i.seqno;

-- name: encoding
-- returns: encoding utf8
SELECT encoding FROM pragma_encoding;

-- name: has_statistics
-- returns: present int64
SELECT count(*) AS present FROM sqlite_schema WHERE name = 'sqlite_stat1';

-- name: statistics
-- returns: rows int64
SELECT CAST(stat AS INTEGER) AS rows FROM sqlite_stat1 WHERE tbl = ?1 LIMIT 1;
