"""The index: the state as of some event, in a SQLite file that may be deleted at any time.

It is a cache of the log and nothing more. A start reads it and then only what the log says since;
memory holds what is open, and looks up here what has been quiet. It names the line of the log that
it was made from, so one that belongs to another log, or to a log that was cut, is thrown away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from daemon.accounts import Accounts
from daemon.archive import Changes, Drop
from daemon.batch import Batch, Chunk
from daemon.errors import IndexFailed
from daemon.files import Signature
from daemon.jobs import ENDED, Job
from daemon.segments import Position
from daemon.state import State

FORMAT = 8
"""The version of the tables; an index of another one is thrown away."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (id TEXT PRIMARY KEY, is_open INTEGER NOT NULL, first INTEGER NOT NULL,
                   batch TEXT, item INTEGER NOT NULL, item_id TEXT, body BLOB NOT NULL)
                   WITHOUT ROWID;
CREATE INDEX open_jobs ON jobs (first) WHERE is_open;
CREATE INDEX items ON jobs (batch, item) WHERE batch IS NOT NULL;
CREATE INDEX item_ids ON jobs (batch, item_id) WHERE item_id IS NOT NULL;
CREATE TABLE batches (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE requests (name TEXT PRIMARY KEY, event INTEGER NOT NULL, drops BLOB NOT NULL)
                   WITHOUT ROWID;
CREATE INDEX newest_requests ON requests (event);
CREATE TABLE owed (name TEXT PRIMARY KEY, answers INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE ids (id TEXT PRIMARY KEY, body TEXT NOT NULL, job TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blobs (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE seen (name TEXT PRIMARY KEY, signature INTEGER NOT NULL) WITHOUT ROWID;
"""


class Index:
    """One index file; an archive for a `State`. Reads are for any thread, `write` for one.

    Args:
        path: the file; made if it is missing, and made anew if it is no index of ours.
        read_only: for looking at the index of a root that a daemon may be serving.

    Raises:
        IndexFailed: it cannot be opened; with `read_only` also where there is none.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        try:
            self._reading = self._open(read_only)
            self._writing = None if read_only else _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise IndexFailed(f"{path}: {error}") from error
        self._is_empty = self._position() is None

    def _open(self, read_only: bool) -> sqlite3.Connection:
        if read_only:
            connection = _connect(self._path, read_only=True)
            connection.execute("BEGIN")  # what is read from now on is of one moment
            return connection
        with suppress(sqlite3.DatabaseError), closing(_connect(self._path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == FORMAT:
                return _connect(self._path)
        self.discard(self._path)
        with closing(_connect(self._path)) as connection:
            connection.executescript(f"{_TABLES} PRAGMA user_version = {FORMAT};")
        return _connect(self._path)

    @staticmethod
    def discard(path: Path) -> None:
        """Remove an index."""
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        for connection in (self._reading, self._writing):
            if connection is not None:
                connection.close()

    # ------------------------------------------------------------ the archive

    def job(self, job_id: str) -> Job | None:
        """A job, or None."""
        row = self._row("SELECT body FROM jobs WHERE id = ?", job_id)
        return _job(row[0]) if row is not None else None

    def drops(self, name: str) -> dict[str, Drop] | None:
        """The drops of a name by key, the newest last, or None."""
        row = self._row("SELECT drops FROM requests WHERE name = ?", name)
        return _drops(row[0]) if row is not None else None

    def drops_of(self, names: Iterable[str]) -> dict[str, dict[str, Drop]]:
        """The same, of many names at once; those that are not known are left out."""
        if self._is_empty:
            return {}
        rows = self._rows(
            "SELECT name, drops FROM requests WHERE name IN (SELECT value FROM json_each(?))",
            to_json(list(names)).decode(),
        )
        return {name: _drops(drops) for name, drops in rows}

    def sender_id(self, wanted: str) -> tuple[str, str] | None:
        """A sender's id: the digest of the body, and the job; or None."""
        row: tuple[str, str] | None = self._row("SELECT body, job FROM ids WHERE id = ?", wanted)
        return row

    def is_request_blob(self, digest: str) -> bool:
        """Whether some request is made of the blob with this SHA-256."""
        return self._row("SELECT 1 FROM blobs WHERE sha256 = ?", digest) is not None

    def batch(self, job_id: str) -> Batch | None:
        """A batch, or None."""
        row = self._row("SELECT body FROM batches WHERE id = ?", job_id)
        return _batch(row[0]) if row is not None else None

    def items(self, batch: str) -> list[Job]:
        """The items of a batch, in their order."""
        rows = self._rows("SELECT body FROM jobs WHERE batch = ? ORDER BY item", batch)
        return [_job(body) for (body,) in rows]

    def item(self, batch: str, wanted: int | str) -> str | None:
        """The job of an item, by its number or its id; or None."""
        column = "item" if isinstance(wanted, int) else "item_id"
        query = f"SELECT id FROM jobs WHERE batch = ? AND {column} = ?"  # noqa: S608
        rows = [] if self._is_empty else self._rows(query, batch, wanted)
        return rows[0][0] if rows else None

    def failed_items(self, batch: str, most: int) -> list[Job]:
        """The first items of a batch that failed or were none, in their order."""
        status = f"json_extract(body, '$[{Job._fields.index('status')}]')"
        rows = self._rows(
            f"SELECT body FROM jobs WHERE batch = ? AND {status} IN ('failed', 'rejected') "  # noqa: S608
            "ORDER BY item LIMIT ?",
            batch,
            most,
        )
        return [_job(body) for (body,) in rows]

    # ------------------------------------------------------------ as a whole

    def position(self) -> Position | None:
        """The line of the log that it was made from; None where it is empty."""
        return self._position()

    def restore(self, state: State) -> None:
        """Put what is open into a fresh state: all that memory has to hold.

        Raises:
            IndexFailed: it cannot be read; the state is as it was.
        """
        position = self._position()
        if position is None:
            return
        bodies = self._rows("SELECT body FROM jobs WHERE is_open ORDER BY first")
        owed = self._rows("SELECT name, answers FROM owed")
        held, counts, paused = map(self._meta, ("held", "counts", "paused"))
        try:
            jobs = [_job(body) for (body,) in bodies]
            accounts = Accounts.of(self._meta("accounts"))
        except (ValueError, TypeError, KeyError) as error:
            raise IndexFailed(f"{self._path}: no job of this version: {error}") from error
        state.take_up(jobs)
        state.open_jobs.update((job.id, None) for job in jobs)
        state.owed.update(owed)
        state.held.update(held)
        state.counts.update(counts)
        state.paused, state.sequence = paused, position.sequence
        state.accounts = accounts
        hour, accepted = self._meta("hour")
        state.hour = hour, accepted

    def seen(self) -> dict[str, Signature]:
        """What each file of the inbox looked like when it was decided."""
        return dict(self._rows("SELECT name, signature FROM seen"))

    def newest(self, most: int) -> list[tuple[str, dict[str, Drop]]]:
        """The requests that were dropped last, the newest first."""
        rows = self._rows("SELECT name, drops FROM requests ORDER BY event DESC LIMIT ?", most)
        return [(name, _drops(drops)) for name, drops in rows]

    def similar(self, part: str, most: int) -> list[str]:
        """Names of requests that hold a text, whatever its case."""
        rows = self._rows(
            "SELECT name FROM requests WHERE instr(lower(name), lower(?)) LIMIT ?", part, most
        )
        return [name for (name,) in rows]

    # ------------------------------------------------------------ writing

    def write(
        self, changes: Changes, position: Position, seen: Mapping[str, Signature | None]
    ) -> None:
        """Take in what changed, all of it or nothing; durable before long.

        Args:
            changes: as `State.take_changes` gave them, in their order.
            position: the line of the log that they come up to.
            seen: files and what they look like; None for those that are gone.

        Raises:
            IndexFailed: it could not be written; it is as it was before.
        """
        if self._writing is None:
            raise IndexFailed(f"{self._path} is open for reading only")
        try:
            with self._writing as connection:
                _write_changes(connection, changes)
                _put_or_remove(connection, "seen", seen)
                meta = {
                    "position": list(position),
                    "held": changes.held,
                    "counts": changes.counts,
                    "paused": changes.paused,
                    "accounts": changes.accounts,
                    "hour": changes.hour,
                }
                _put(connection, "meta", ((k, to_json(v).decode()) for k, v in meta.items()), 2)
        except sqlite3.Error as error:
            raise IndexFailed(f"{self._path}: {error}") from error
        self._is_empty = False

    # ------------------------------------------------------------ reading

    def _position(self) -> Position | None:
        value = self._meta("position")
        return Position(*value) if value is not None else None

    def _meta(self, name: str) -> Any:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return from_json(rows[0][0]) if rows else None

    def _row(self, query: str, wanted: str) -> Any:
        if self._is_empty:
            return None
        rows = self._rows(query, wanted)
        return rows[0] if rows else None

    def _rows(self, query: str, *values: str | int) -> list[Any]:
        try:
            return self._reading.execute(query, values).fetchall()
        except sqlite3.Error as error:
            hint = ""
            if self._writing is not None and not isinstance(error, sqlite3.OperationalError):
                self.discard(self._path)
                hint = "; it was removed, as the log has all that is in it: start again"
            raise IndexFailed(f"{self._path}: {error}{hint}") from error


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    address = f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}"
    # The module serializes the threads that share a connection.
    connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=10)
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer let each other be
        connection.execute("PRAGMA synchronous = NORMAL")  # whole after a power cut, if behind
    return connection


def _write_changes(connection: sqlite3.Connection, changes: Changes) -> None:
    _put(
        connection,
        "jobs",
        (
            (job.id, job.status not in ENDED, job.first, job.batch, job.item, job.item_id, job)
            for job in changes.jobs
        ),
        7,
    )
    _put(connection, "batches", ((batch.id, batch) for batch in changes.batches), 2)
    _put(
        connection,
        "requests",
        ((name, drops[-1].event, drops) for name, drops in changes.drops.items()),
        3,
    )
    _put(connection, "ids", ((one, body, job) for one, (body, job) in changes.ids.items()), 3)
    _put(connection, "blobs", ((digest,) for digest in changes.request_blobs), 1)
    _put_or_remove(connection, "owed", changes.owed)


def _put_or_remove(
    connection: sqlite3.Connection, table: str, values: Mapping[str, int | None]
) -> None:
    """Write values by name; those that are None are removed."""
    _put(connection, table, ((name, v) for name, v in values.items() if v is not None), 2)
    gone = to_json([name for name, value in values.items() if value is None]).decode()
    query = f"DELETE FROM {table} WHERE name IN (SELECT value FROM json_each(?))"  # noqa: S608
    connection.execute(query, (gone,))


def _put(
    connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]], columns: int
) -> None:
    """Write rows, a thousand with one statement: SQLite takes them apart while Python's lock is
    free, where a statement a row would ask for the lock each time."""
    fields = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(columns))
    query = f"REPLACE INTO {table} SELECT {fields} FROM json_each(?)"  # noqa: S608
    remaining = iter(rows)
    while some := list(islice(remaining, 1000)):
        connection.execute(query, (to_json(some).decode(),))


def _job(body: bytes) -> Job:
    job = Job(*from_json(body))
    return job._replace(
        journal=tuple(job.journal),
        hold=tuple(job.hold),
        matched=tuple(job.matched),
        inputs=tuple(job.inputs),
        after=tuple(job.after),
    )


def _batch(body: bytes) -> Batch:
    batch = Batch(*from_json(body))
    return batch._replace(
        bad=(batch.bad[0], batch.bad[1]) if batch.bad is not None else None,
        chunks=tuple(Chunk(*chunk) for chunk in batch.chunks),
    )


def _drops(body: bytes) -> dict[str, Drop]:
    drops = (Drop(*fields) for fields in from_json(body))
    return {drop.key: drop for drop in drops}
