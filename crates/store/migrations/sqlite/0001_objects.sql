-- Ids are 16 bytes, times microseconds since 1970, counters 64 bits. Names compare by their bytes.

PRAGMA application_id = 0x44535054;

-- The number of the last batch.
CREATE TABLE sequence (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    last     INTEGER NOT NULL
) STRICT;
INSERT INTO sequence (only_row, last) VALUES (1, 0);

CREATE TABLE object (
    id              BLOB    NOT NULL PRIMARY KEY,
    organization    BLOB    NOT NULL,
    kind            TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    generation      INTEGER NOT NULL,
    status_revision INTEGER NOT NULL,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    deleting        INTEGER,
    tags            TEXT    NOT NULL,
    spec            TEXT    NOT NULL,
    status          TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX object_name ON object (organization, kind, name);
CREATE INDEX object_kind ON object (kind, name, organization);

-- Which other ids an object's spec names.
CREATE TABLE object_ref (
    target BLOB NOT NULL,
    object BLOB NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    PRIMARY KEY (target, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_ref_object ON object_ref (object);

CREATE TABLE blob (
    digest BLOB NOT NULL PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

-- What keeps a blob from being swept.
CREATE TABLE object_blob (
    digest BLOB NOT NULL REFERENCES blob (digest),
    object BLOB NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    PRIMARY KEY (digest, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_blob_object ON object_blob (object);

-- Encrypted. The row with owner and version 0 only shows whether data and keys belong together.
CREATE TABLE sealed (
    owner        BLOB    NOT NULL,
    version      INTEGER NOT NULL,
    organization BLOB    NOT NULL,
    kek          INTEGER NOT NULL,
    wrapped_key  BLOB    NOT NULL,
    body         BLOB    NOT NULL,
    PRIMARY KEY (owner, version)
) STRICT;
CREATE INDEX sealed_kek ON sealed (kek);

CREATE TABLE run (
    id           BLOB    NOT NULL PRIMARY KEY,
    organization BLOB    NOT NULL,
    function     BLOB    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'executing', 'done')),
    created      INTEGER NOT NULL,
    finished     INTEGER,
    body         TEXT    NOT NULL
) STRICT;
CREATE INDEX run_organization ON run (organization, id);
CREATE INDEX run_function ON run (function, id);
CREATE INDEX run_unfinished ON run (id) WHERE state <> 'done';

CREATE TABLE audit (
    position     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    organization BLOB,
    action       TEXT    NOT NULL,
    kind         TEXT,
    name         TEXT,
    id           BLOB,
    source       TEXT,
    request_id   BLOB    NOT NULL,
    details      TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_organization ON audit (organization, position);
CREATE INDEX audit_request ON audit (request_id);
