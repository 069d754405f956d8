-- What \d lists: topics, tables and views of the session, without the system's own.
SELECT "schema", name, 'topic' AS kind, columns, rows FROM jammi.system.topics
UNION ALL
SELECT "schema", name, kind, columns, rows FROM jammi.system.tables
ORDER BY "schema", name
