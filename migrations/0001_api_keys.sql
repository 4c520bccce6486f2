-- API keys that `farmgate keys` manages. Times are seconds since 1970.
CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY NOT NULL,
    name         TEXT NOT NULL,
    user_id      TEXT,
    scope        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

-- What a key is recognised by. A rotation adds a secret; the one before it keeps its row, and
-- holds until `valid_until`.
CREATE TABLE api_key_secrets (
    digest      BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    key_id      TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    prefix      TEXT NOT NULL,
    last4       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    valid_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_secrets_by_key ON api_key_secrets (key_id);
