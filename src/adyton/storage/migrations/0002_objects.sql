-- What access control keeps (tokens, policies, mounts, ...): docs/spec/store.md, section 5.
-- bucket is the keyed index of an object's kind, object that of its kind and id.

CREATE TABLE objects (
  user         BLOB    NOT NULL,
  bucket       BLOB    NOT NULL,
  object       BLOB    NOT NULL,
  meta_version INTEGER NOT NULL,
  box          BLOB    NOT NULL,
  PRIMARY KEY (user, bucket, object)
) STRICT, WITHOUT ROWID;
