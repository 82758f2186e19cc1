-- What an object's status keeps from being swept, apart from what its spec does: the two are written by different hands.
CREATE TABLE status_blob (
    digest BLOB NOT NULL REFERENCES blob (digest),
    object BLOB NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    PRIMARY KEY (digest, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX status_blob_object ON status_blob (object);
