-- Attached databases and files. Credentials are not here: an option may name where one is found.
CREATE TABLE source (
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    uri TEXT NOT NULL,
    options TEXT NOT NULL,           -- JSON object of texts
    attached_us BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
