-- The outbox: one row per record, and a few facts about the store.

-- name: pragmas
PRAGMA page_size = 1024;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 256;
PRAGMA cache_size = -512;

-- name: schema
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    h TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS record_event ON record (seq) WHERE kind = 'e';
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- name: put
INSERT INTO record (seq, kind, at_ms, body, h) VALUES (?, ?, ?, ?, ?)

-- name: read
SELECT seq, kind, at_ms, body, h FROM record WHERE seq >= ? ORDER BY seq LIMIT ?

-- name: unacked_events
SELECT seq, kind, at_ms, body, h FROM record WHERE seq > ? AND kind = 'e' ORDER BY seq LIMIT ?

-- name: hash_at
SELECT h FROM record WHERE seq = ?

-- name: ends
SELECT min(seq), max(seq) FROM record

-- name: newest
SELECT seq, h FROM record ORDER BY seq DESC LIMIT 1

-- name: forget
DELETE FROM record WHERE seq < ? AND at_ms < ?

-- name: mirror
UPDATE record SET seq = -seq WHERE seq > ?

-- name: drop_rest
DELETE FROM record WHERE seq > 0

-- name: read_mirrored
SELECT seq, body FROM record WHERE seq < 0 ORDER BY seq DESC LIMIT ?

-- name: renumber
UPDATE record SET seq = ?, h = ? WHERE seq = ?

-- name: get_meta
SELECT value FROM meta WHERE key = ?

-- name: set_meta
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
