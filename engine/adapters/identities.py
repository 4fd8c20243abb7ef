"""The identity index on disk: every usage event ever accepted, within a bounded piece of memory.

RocksDB keeps sorted files of (16 bytes identity, 32 bytes digest and what stands of the event), one
database per partition; what stands is text that compresses to about a hundred bytes. Nearly every question is about an identity that is new, and a Bloom filter of ten bits per identity
answers 99 % of those without touching a file. Filters, indexes, data blocks and write buffers of
all partitions share one cache, so memory does not grow with their number (docs/decisions/0010).

It is a cache of the journal: whatever is wrong with a directory, the answer is another one. Each is
named for its partition and made once, `partition-0003.5f0c2e91`: a name that was deleted is never used
again, because a process may still write there. While another process holds one, a new one takes its
place, and the next to open the partition keeps the one that went furthest.
"""

import errno
import os
import shutil
import struct
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DataBlockIndexType,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from engine.ports import Stamp

CACHE_BYTES = 256 * 2**20
"""Blocks, filters and write buffers of all partitions of a process."""

LOCK_SECONDS = 3.0
"""How long to wait for a process that is letting go of a partition."""

_WRITE_BUFFERS_BYTES = 64 * 2**20
_WRITE_BUFFER_BYTES = 16 * 2**20
_FILTER_BITS = 10
_RETRY_SECONDS = 0.05
_PATIENT_AGAIN_SECONDS = 60.0
_MAKE_ATTEMPTS = 3
_STAMP_KEY = b"stamp"
_STAMP = struct.Struct(">Bqq32s")
_FORMAT = 2
"""Stands in the stamp. The first format had no such byte, and digests without what stands."""

_DIGEST_BYTES = 32
_MARGIN_BYTES = 2**20
_DAMAGED = "DAMAGED"
"""A file of this name says that a read found the directory damaged."""

_SURROUNDINGS = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENFILE,
)  # fmt: skip
"""Errors that say nothing about a directory: it is kept, and whoever opens it is told."""

_log = structlog.get_logger()


class RocksIdentityIndexes:
    """The indexes of a worker's partitions, in one folder that the machine's workers share."""

    def __init__(
        self, folder: Path, cache_bytes: int = CACHE_BYTES, lock_seconds: float = LOCK_SECONDS
    ) -> None:
        self._folder = folder
        self._options = _options(cache_bytes)
        self._lock_seconds = lock_seconds
        self._waited_at = -_PATIENT_AGAIN_SECONDS

    def open(self, partition: int) -> "RocksIdentityIndex":
        """Open the index of a partition, for this process alone. OSError if the folder is unfit."""
        self._folder.mkdir(parents=True, exist_ok=True)
        opened, locked = self._open_all(sorted(self._folder.glob(f"partition-{partition:04d}.*")))
        if not opened:
            made = self._make(partition)
            if locked:
                _log.warning(
                    "identity_index_replaced",
                    partition=partition,
                    held=[path.name for path in locked],
                    uses=made.place.name,
                )
            return made
        opened.sort(key=lambda index: index.stamp.commit)
        best = opened.pop()
        for other in opened:
            other.close()
            _destroy(other.place, self._options)
        if locked:
            _log.warning(
                "identity_index_held",
                partition=partition,
                held=[path.name for path in locked],
                uses=best.place.name,
            )
        return best

    def _make(self, partition: int) -> "RocksIdentityIndex":
        """Make a new directory; one that is deleted while it is being made is made again."""
        for attempts_left in reversed(range(_MAKE_ATTEMPTS)):
            self._folder.mkdir(parents=True, exist_ok=True)
            place = self._folder / f"partition-{partition:04d}.{uuid.uuid4().hex[:8]}"
            try:
                return RocksIdentityIndex(place, self._options)
            except OSError as error:
                if error.errno in _SURROUNDINGS or not attempts_left:
                    raise
                _log.warning("identity_index_deleted", place=place.name, reason=str(error))
        raise AssertionError("the last attempt returns or raises")

    def _open_all(self, places: list[Path]) -> tuple[list["RocksIdentityIndex"], list[Path]]:
        """Open what can be opened, waiting a little for locks; return what stays locked too.

        Whoever waited in vain does not wait again for a while: what holds one partition's index
        holds the others' as well.
        """
        opened: list[RocksIdentityIndex] = []
        started = time.monotonic()
        is_patient = started - self._waited_at >= _PATIENT_AGAIN_SECONDS
        deadline = started + (self._lock_seconds if is_patient else 0.0)
        while True:
            locked = []
            for place in places:
                try:
                    found = _open_or_remove(place, self._options)
                except _LockedError:
                    locked.append(place)
                else:
                    opened += [found] if found else []
            if not locked:
                return opened, locked
            if time.monotonic() >= deadline:
                self._waited_at = time.monotonic()
                return opened, locked
            places = locked
            time.sleep(_RETRY_SECONDS)


class RocksIdentityIndex:
    """The identities of one partition: what was added in memory, what was written in RocksDB."""

    def __init__(self, place: Path, options: Options) -> None:
        self.place = place
        self._options = options
        self._added: dict[str, tuple[bytes, bytes]] = {}
        self._failed = False
        self._begin(_connect(place, options))

    def _begin(self, database: Rdict) -> None:
        self._database = database
        self._get = database.get
        try:
            data = database.get(_STAMP_KEY)
        except Exception as error:
            self.close()
            raise _os_error(error, self.place) from error
        self._stamp = Stamp()
        if data is not None:
            if len(data) != _STAMP.size or data[0] != _FORMAT:
                self.close()
                raise OSError(errno.EINVAL, "it is in the format of another version", self.place)
            _, commit, offset, digest = _STAMP.unpack(data)
            self._stamp = Stamp(commit, digest, offset)
        self._commit = self._stamp.commit

    @property
    def commit(self) -> int:
        """The last commit whose identities were in here when it was opened."""
        return self._commit

    @property
    def stamp(self) -> Stamp:
        """How far the index went when it was last written."""
        return self._stamp

    @property
    def unwritten(self) -> int:
        """How many identities were added since."""
        return len(self._added)

    @property
    def size(self) -> int:
        """About how many identities are written."""
        keys = self._database.property_int_value("rocksdb.estimate-num-keys") or 0
        return max(keys - (self._stamp != Stamp()), 0)

    def get(self, identity: str) -> bytes | None:
        """Return the digest that occupies an identity, or None. OSError if the disk fails.

        If a file is damaged, the directory is emptied when the partition is opened again.
        """
        added = self._added.get(identity)
        if added is not None:
            return added[0]
        found = self._read(identity)
        return None if found is None else found[:_DIGEST_BYTES]

    def standing(self, identity: str) -> bytes:
        """Return what stands of an event; empty: not known. OSError as in `get`."""
        added = self._added.get(identity)
        if added is not None:
            return added[1]
        return (self._read(identity) or b"")[_DIGEST_BYTES:]

    def _read(self, identity: str) -> bytes | None:
        """Return the digest, and what stands behind it, as they were written."""
        try:
            found: bytes | None = self._get(bytes.fromhex(identity))
        except Exception as error:
            if str(error).startswith("Corruption"):
                (self.place / _DAMAGED).touch()
            raise _os_error(error, self.place) from error
        return found

    def add(self, identity: str, digest: bytes, standing: bytes) -> None:
        """Occupy an identity, or say what stands of it, in memory until the next write."""
        self._added[identity] = (digest, standing)

    def write(self, stamp: Stamp) -> None:
        """Keep what was added, and the stamp, both or neither, also through a power cut.

        OSError if there is no room: everything stays added, and the next write tries again.
        """
        batch = WriteBatch(raw_mode=True)
        for identity, (digest, standing) in self._added.items():
            batch.put(bytes.fromhex(identity), digest + standing)
        batch.put(_STAMP_KEY, _STAMP.pack(_FORMAT, stamp.commit, stamp.offset, stamp.digest))
        durable = WriteOptions()
        durable.sync = True
        with _os_errors(self.place):
            if self._failed:
                self._reopen(batch.size_in_bytes())
            self._failed = True
            self._database.write(batch, durable)
            self._failed = False
        self._added.clear()
        self._stamp = stamp

    def _reopen(self, batch_bytes: int) -> None:
        """Open again: a database that could not write once refuses every write from then on.

        Opening writes what stands in the log into a table. Unless there is room for that, the
        database stays as it is, so that it can still be asked.
        """
        logged_bytes = sum(path.stat().st_size for path in self.place.glob("*.log"))
        _require_room(self.place, logged_bytes + 2 * batch_bytes + _MARGIN_BYTES)
        with suppress(Exception):  # it says once more that it could not write
            self._database.close()
        expected = self._stamp
        self._begin(_connect(self.place, self._options))
        if self._stamp != expected:
            self._stamp = Stamp()
            raise OSError(errno.ENOENT, "the directory is not the one that was written", self.place)

    def clear(self) -> None:
        """Forget everything: the stamp is Stamp() again. OSError if that can not be."""
        self._added.clear()
        self.close()
        with _os_errors(self.place):
            _destroy(self.place, self._options)
            self._begin(_connect(self.place, self._options))
        self._failed = False

    def close(self) -> None:
        """Let go of it; what was not written is gone."""
        self._added.clear()
        with suppress(Exception):  # it may be closed already, or unable to flush: all is in its log
            self._database.close()


def _require_room(place: Path, size: int) -> None:
    """OSError unless a file of this size fits on the disk."""
    probe = place / "room.tmp"
    try:
        with probe.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    finally:
        probe.unlink(missing_ok=True)


class _LockedError(OSError):
    """Another process holds the directory, or another index of this one."""


def _options(cache_bytes: int) -> Options:
    """Return options for identities: random keys, most of them absent, in bounded memory."""
    cache = Cache(cache_bytes)
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_format_version(5)
    table.set_bloom_filter(_FILTER_BITS, block_based=False)
    # Filters and indexes in small pieces: whole ones of 1 MiB each crowd out a shard of the cache.
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(
        DBCompressionType.lz4()
    )  # digests do not compress, what stands does
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_write_buffer_manager(
        WriteBufferManager.new_write_buffer_manager_with_cache(
            _WRITE_BUFFERS_BYTES, allow_stall=False, cache=cache
        )
    )
    # Torn at the end is what a power cut leaves: what stands before it is whole, with its stamp.
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(2**20)
    options.set_stats_dump_period_sec(0)
    return options


def _connect(place: Path, options: Options) -> Rdict:
    """Open a database. _LockedError, or OSError for whatever else is wrong."""
    with _os_errors(place):
        return Rdict(str(place), options)


def _open_or_remove(place: Path, options: Options) -> RocksIdentityIndex | None:
    """Open a directory; one that is damaged is removed, None. _LockedError; OSError of the disk."""
    try:
        if not (place / _DAMAGED).exists():
            return RocksIdentityIndex(place, options)
        reason = "a read found it damaged"
    except _LockedError:
        raise
    except (OSError, struct.error) as error:
        if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
            raise
        reason = str(error)
    _log.warning("identity_index_damaged", place=place.name, reason=reason)
    _destroy(place, options)
    return None


def _destroy(place: Path, options: Options) -> None:
    """Delete a directory that nobody holds; what is held stays."""
    if place.is_file():
        place.unlink()
    try:
        Rdict.destroy(str(place), options)
    except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more specific
        if _is_locked(str(error)):
            return
    shutil.rmtree(place, ignore_errors=True)


def _is_locked(message: str) -> bool:
    """Whether RocksDB says that a directory is held: by this process, or by another."""
    by_another = "While lock file" in message and os.strerror(errno.EAGAIN) in message
    return by_another or "lock hold by current process" in message


@contextmanager
def _os_errors(place: Path) -> Iterator[None]:
    """Turn what rocksdict raises into an OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise _os_error(error, place) from error


def _os_error(error: Exception, place: Path) -> OSError:
    """Return the OSError that a message of RocksDB stands for."""
    message = str(error)
    if _is_locked(message):
        return _LockedError(errno.EAGAIN, message, str(place))
    for number in _SURROUNDINGS:
        if os.strerror(number) in message:
            return OSError(number, message, str(place))
    return OSError(errno.EIO, message, str(place))
