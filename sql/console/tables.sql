-- What \dt lists: companion tables, cached ones, and those of the session.
SELECT "schema", name, kind, columns, rows FROM jammi.system.tables ORDER BY "schema", name
