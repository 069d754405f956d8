-- Catalogue and log of topics.
--
-- A tenant is its UUID as text, '' for none, so that unique keys hold for global names too (NULLs are distinct in them).

CREATE TABLE namespace (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

-- A number is never used again, so that what is remembered of a topic that is gone cannot meet another one. It is 62
-- random bits: AUTOINCREMENT takes its sequence back with a rollback, and who read a topic inside the transaction that
-- made it may go on reading after that.
CREATE TABLE topic (
    number INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,          -- JSON object, text to text
    version INTEGER NOT NULL,        -- newest row in topic_schema
    first_offset INTEGER NOT NULL,   -- the oldest offset kept
    floor_offset INTEGER NOT NULL,   -- the next offset when no batch is left
    floor_us INTEGER NOT NULL,       -- produced_at of the newest batch that was removed
    created_us INTEGER NOT NULL,
    UNIQUE (tenant, namespace, name)
);

CREATE TABLE topic_schema (
    topic INTEGER NOT NULL REFERENCES topic (number) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    ipc BLOB NOT NULL,               -- Arrow schema message
    PRIMARY KEY (topic, version)
) WITHOUT ROWID;

-- One row per batch. ranges and payload come last: SQLite reads a row from the left, so a scan of the
-- headers does not touch the pages of the blobs.
CREATE TABLE batch (
    topic INTEGER NOT NULL REFERENCES topic (number) ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    produced_us INTEGER NOT NULL,    -- never falls within a topic
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,        -- of topic_schema, with which the payload was encoded
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,     -- of payload
    checksum INTEGER NOT NULL,
    ranges BLOB NOT NULL,            -- least and greatest value per column, empty where not kept
    payload BLOB NOT NULL,           -- Arrow record batch message
    PRIMARY KEY (topic, offset)
) WITHOUT ROWID;
