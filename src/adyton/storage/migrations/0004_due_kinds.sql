-- Work of one kind is found apart from all other: docs/spec/store.md, section 7.
-- kind is empty for rotations, otherwise a keyed index of the kind's name.

ALTER TABLE due ADD COLUMN kind BLOB NOT NULL DEFAULT x'';
DROP INDEX due_by_time;
CREATE INDEX due_by_time ON due (kind, ready_us);
