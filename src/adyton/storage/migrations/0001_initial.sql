-- The first schema: docs/spec/store.md describes every column.
-- Blobs named *_box, meta, wrapped, value and record are ciphertext; user and name are keyed
-- indexes. Every table of a user's data is reached by a key that begins with the user.

CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE master_keys (
  version    INTEGER NOT NULL,
  slot       INTEGER NOT NULL,
  root       TEXT    NOT NULL,
  wrapped    BLOB    NOT NULL,
  created_us INTEGER NOT NULL,
  retired    INTEGER NOT NULL,
  PRIMARY KEY (version, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE store_keys (
  purpose        TEXT PRIMARY KEY,
  master_version INTEGER NOT NULL,
  wrapped        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  user       BLOB PRIMARY KEY,
  id_box     BLOB NOT NULL,
  created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE user_keys (
  user           BLOB    NOT NULL,
  version        INTEGER NOT NULL,
  master_version INTEGER NOT NULL,
  wrapped        BLOB    NOT NULL,
  created_us     INTEGER NOT NULL,
  wraps          INTEGER NOT NULL,
  retired        INTEGER NOT NULL,
  PRIMARY KEY (user, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_keys_by_master ON user_keys (master_version);
CREATE INDEX user_keys_retired ON user_keys (user) WHERE retired = 1;

CREATE TABLE user_subkeys (
  user        BLOB    NOT NULL,
  purpose     INTEGER NOT NULL,
  version     INTEGER NOT NULL,
  key_version INTEGER NOT NULL,
  wrapped     BLOB    NOT NULL,
  PRIMARY KEY (user, purpose, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
  user         BLOB    NOT NULL,
  name         BLOB    NOT NULL,
  current      INTEGER NOT NULL,
  meta_version INTEGER NOT NULL,
  meta         BLOB    NOT NULL,
  accessed_us  INTEGER,
  key_version  INTEGER NOT NULL,
  wrapped_key  BLOB,
  value        BLOB,
  PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
  user        BLOB    NOT NULL,
  name        BLOB    NOT NULL,
  version     INTEGER NOT NULL,
  key_version INTEGER NOT NULL,
  wrapped_key BLOB    NOT NULL,
  value       BLOB    NOT NULL,
  PRIMARY KEY (user, name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entries (
  log    INTEGER NOT NULL,
  leaf   INTEGER NOT NULL,
  user   BLOB    NOT NULL,
  record BLOB    NOT NULL,
  PRIMARY KEY (log, leaf)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_entries_by_user ON audit_entries (log, user, leaf);

CREATE TABLE audit_tiles (
  log    INTEGER NOT NULL,
  level  INTEGER NOT NULL,
  tile   INTEGER NOT NULL,
  hashes BLOB    NOT NULL,
  PRIMARY KEY (log, level, tile)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_checkpoints (
  log        INTEGER NOT NULL,
  size       INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  note       BLOB    NOT NULL,
  PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  key   TEXT PRIMARY KEY,
  state BLOB NOT NULL
) STRICT, WITHOUT ROWID;
