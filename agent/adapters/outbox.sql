-- The outbox: one row per record, and a few facts about the store.

-- name: pragmas
PRAGMA page_size = 512;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = FAST;
PRAGMA wal_autocheckpoint = 512;
PRAGMA cache_size = -512;

-- name: schema
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    h TEXT NOT NULL,
    boot INTEGER NOT NULL DEFAULT 0,
    mono_ms INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS record_event ON record (seq) WHERE kind = 'e';
CREATE TABLE IF NOT EXISTS lost (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS boot (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- name: columns
SELECT name FROM pragma_table_info('record')

-- name: add_moments
ALTER TABLE record ADD COLUMN boot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN mono_ms INTEGER NOT NULL DEFAULT 0;

-- name: index_open
CREATE INDEX IF NOT EXISTS record_open ON record (seq) WHERE at_ms < 0

-- name: name_boot
INSERT INTO boot (name) VALUES (?) ON CONFLICT (name) DO NOTHING

-- name: boots
SELECT id, name FROM boot

-- name: put
INSERT INTO record (seq, kind, at_ms, body, h, boot, mono_ms) VALUES (?, ?, ?, packed(?), ?, ?, ?)

-- name: first_open
SELECT min(seq) FROM record WHERE at_ms < 0

-- name: open
SELECT record.seq, record.kind, unpacked(record.body), boot.name, record.mono_ms FROM record JOIN boot ON boot.id = record.boot
WHERE record.at_ms < 0 ORDER BY record.seq

-- name: make_final
UPDATE record SET kind = ?, at_ms = ?, body = packed(?) WHERE seq = ?

-- name: bodies
SELECT seq, unpacked(body) FROM record WHERE seq >= ? ORDER BY seq LIMIT ?

-- name: rechain
UPDATE record SET h = ? WHERE seq = ?

-- name: read
SELECT seq, kind, at_ms, unpacked(body), h FROM record WHERE seq >= ? ORDER BY seq LIMIT ?

-- name: unacked_events
SELECT seq, kind, at_ms, unpacked(body), h FROM record WHERE seq > ? AND kind = 'e' ORDER BY seq LIMIT ?

-- name: hash_at
SELECT h FROM record WHERE seq = ?

-- name: low
SELECT min(seq) FROM (SELECT min(seq) AS seq FROM record UNION ALL SELECT min(first) FROM lost)

-- name: newest
SELECT seq, h FROM record ORDER BY seq DESC LIMIT 1

-- name: forget
DELETE FROM record WHERE seq < :acked AND seq < coalesce((SELECT min(seq) FROM record WHERE at_ms >= :old_ms), :acked)

-- name: forget_some
DELETE FROM record WHERE seq IN (SELECT seq FROM record WHERE seq < ? ORDER BY seq LIMIT ?)

-- name: forget_lost
DELETE FROM lost WHERE last <= ? AND last < (SELECT min(seq) FROM record)

-- name: fixes
SELECT seq, unpacked(body) FROM record WHERE seq >= ? AND seq < ? AND kind = 'f' ORDER BY seq LIMIT ?

-- name: remove
DELETE FROM record WHERE seq BETWEEN ? AND ?

-- name: put_lost
INSERT INTO lost (first, last, reason) VALUES (?, ?, ?)

-- name: lost
SELECT first, last, reason FROM lost
WHERE first >= coalesce((SELECT max(first) FROM lost WHERE first <= :first), :first) AND first <= :last AND last >= :first
ORDER BY first

-- name: remove_lost
DELETE FROM lost WHERE first BETWEEN ? AND ?

-- name: cut_lost
UPDATE lost SET last = :upto WHERE first <= :upto AND last > :upto

-- name: kept_before
SELECT max(seq) FROM record WHERE seq < ?

-- name: kept_after
SELECT min(seq) FROM record WHERE seq > ?

-- name: kept_between
SELECT seq FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq

-- name: lost_behind
UPDATE lost SET first = :first WHERE first < :first AND last >= :first

-- name: lost_before
DELETE FROM lost WHERE last < ?

-- name: lost_mirror
UPDATE lost SET first = :by - first, last = last - :by

-- name: lost_back
UPDATE lost SET first = -first

-- name: mirror
UPDATE record SET seq = -seq WHERE seq > ?

-- name: drop_rest
DELETE FROM record WHERE seq > 0

-- name: read_mirrored
SELECT seq, unpacked(body) FROM record WHERE seq < 0 ORDER BY seq DESC LIMIT ?

-- name: renumber
UPDATE record SET seq = ?, h = ? WHERE seq = ?

-- name: get_meta
SELECT value FROM meta WHERE key = ?

-- name: set_meta
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
