-- Catalogue of companion tables. Their rows are in tables of their own (column storage), which are made with them:
-- _id INTEGER PRIMARY KEY, _tenant TEXT NOT NULL, then a column per column of the table.

-- A number is never used again, for the reasons that a topic's is not.
CREATE TABLE companion (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    storage TEXT NOT NULL,           -- name of the table that has the rows
    details TEXT NOT NULL,           -- JSON object: stored column names, keys, indexes, defaults, options
    specials TEXT NOT NULL,          -- JSON list: columns that may hold a NaN, which is kept as a blob
    schema_version INTEGER NOT NULL, -- raised by ALTER and by indexes
    data_version INTEGER NOT NULL,   -- raised by every transaction that changes rows
    created_us INTEGER NOT NULL,
    checksum INTEGER NOT NULL,       -- of ipc
    ipc BLOB NOT NULL,               -- Arrow schema message
    UNIQUE (tenant, namespace, name)
);
