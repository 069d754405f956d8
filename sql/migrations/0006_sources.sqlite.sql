-- Attached databases and files. Credentials are not here: an option may name where one is found.
CREATE TABLE source (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    uri TEXT NOT NULL,
    options TEXT NOT NULL,           -- JSON object of texts
    attached_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
);
