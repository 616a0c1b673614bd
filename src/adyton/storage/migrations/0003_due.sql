-- What is to be done at a time, found by that time: docs/spec/store.md, section 7.
-- object is the keyed index of the sealed object that says what; lease names who does it now.

CREATE TABLE due (
  user     BLOB    NOT NULL,
  bucket   BLOB    NOT NULL,
  object   BLOB    NOT NULL,
  ready_us INTEGER NOT NULL,
  lease    BLOB    NOT NULL,
  PRIMARY KEY (user, bucket, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX due_by_time ON due (ready_us);
