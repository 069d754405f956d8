-- The log's table, keyed by row: in one without row numbers a search that meets a row with an overflowing payload reads all
-- of that payload to compare the key, so an append of 3 MB read 34 MB. Rows of a topic follow each other all the same.
CREATE TABLE batch_by_row (
    entry INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL REFERENCES topic (number) ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    produced_us INTEGER NOT NULL,    -- never falls within a topic
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,        -- of topic_schema, with which the payload was encoded
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,     -- of payload
    checksum INTEGER NOT NULL,
    ranges BLOB NOT NULL,            -- least and greatest value per column, empty where not kept
    payload BLOB NOT NULL            -- Arrow record batch message
);
INSERT INTO batch_by_row
    (topic, offset, produced_us, tenant, version, row_count, byte_count, checksum, ranges, payload)
SELECT topic, offset, produced_us, tenant, version, row_count, byte_count, checksum, ranges, payload FROM batch;
DROP TABLE batch;
ALTER TABLE batch_by_row RENAME TO batch;
CREATE UNIQUE INDEX batch_offset ON batch (topic, offset);
