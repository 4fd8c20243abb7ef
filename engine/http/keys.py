"""API keys: who a request comes from, and so which source and accounts it may report.

A key is `tb_ID_SECRET`: the id is public and finds the key, the secret is 32 random bytes. Only the
SHA-256 of the whole key is kept. A slow hash, as for passwords, would gain nothing: nobody guesses
256 random bits, and it would cost each request some 50 ms. Keys are made here, never chosen.

The key file is JSON. A server reads it again when it changes, so that a key that is added or revoked
counts within a second, without a restart.
"""

import contextlib
import hmac
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from engine.adapters.durable import sync_path
from engine.rating.errors import InvalidDocument
from engine.rating.pattern import Pattern

PREFIX = "tb"
EVENTS_PER_SECOND = 10_000
"""What a key may send unless it is given another rate."""
_DIGEST = re.compile("[0-9a-f]{64}")
_SECRET_BYTES = 32
_ID_BYTES = 6
_log = structlog.get_logger()


class ApiKey(NamedTuple):
    """A key as it is kept. `accounts`: ids or globs; `digest`: SHA-256 of the whole key, in hex."""

    key_id: str
    digest: str
    source: str
    accounts: tuple[str, ...]
    events_per_second: int = EVENTS_PER_SECOND
    created_at: str = ""
    note: str = ""

    def covers(self, account_id: str) -> bool:
        """Whether the key may report usage of an account, and ask for its balance."""
        return any(
            Pattern(glob=entry).matches(account_id) if _is_glob(entry) else entry == account_id
            for entry in self.accounts
        )

    @property
    def only_account(self) -> str:
        """The account of a key that has just one; else empty."""
        if len(self.accounts) == 1 and not _is_glob(self.accounts[0]):
            return self.accounts[0]
        return ""


def _is_glob(entry: str) -> bool:
    return "*" in entry or "?" in entry


def new_key(
    source: str,
    accounts: Sequence[str],
    *,
    events_per_second: int = EVENTS_PER_SECOND,
    created_at: str = "",
    note: str = "",
) -> tuple[str, ApiKey]:
    """Return a new key's text, which is shown once and kept nowhere, and what is kept of it."""
    key_id = secrets.token_hex(_ID_BYTES)
    text = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    kept = ApiKey(
        key_id, _digest(text), source, tuple(accounts), events_per_second, created_at, note
    )
    return text, kept


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def read_key_file(path: Path) -> dict[str, ApiKey]:
    """Return the keys of a file by their ids. InvalidDocument if it is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidDocument(str(path), error.strerror, "a readable key file") from error
    except (ValueError, RecursionError) as error:
        raise InvalidDocument(str(path), str(error), "a key file in JSON") from error
    entries = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise InvalidDocument(str(path), type(data).__name__, "an object with a list `keys`")
    keys = [_key(f"{path}, keys[{index}]", entry) for index, entry in enumerate(entries)]
    known = {key.key_id: key for key in keys}
    if len(known) < len(keys):
        raise InvalidDocument(str(path), "a key_id twice", "each once")
    return known


def _key(place: str, entry: Any) -> ApiKey:
    accounts = entry.get("accounts") if isinstance(entry, dict) else None
    if not isinstance(accounts, list) or not accounts:
        raise InvalidDocument(f"{place}.accounts", accounts, "a list, and at least one account")
    try:
        key = ApiKey(**{**entry, "accounts": tuple(accounts)})
    except TypeError as error:
        raise InvalidDocument(place, str(error), f"an object of {ApiKey._fields}") from error
    texts = (key.key_id, key.digest, key.source, key.created_at, key.note, *key.accounts)
    if not all(isinstance(text, str) for text in texts):
        raise InvalidDocument(place, key.key_id, "texts")
    if not _DIGEST.fullmatch(key.digest):
        raise InvalidDocument(f"{place}.digest", "something else", "a SHA-256 in hex")
    if type(key.events_per_second) is not int or key.events_per_second < 1:
        raise InvalidDocument(place, key.events_per_second, "events_per_second: a whole number")
    return key


def write_key_file(path: Path, keys: Mapping[str, ApiKey]) -> None:
    """Replace a key file, whole or not at all.

    A new one is for its owner only. One that is replaced stays whose it was: the server must be able to
    read it, whoever has changed it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat() if path.exists() else None
    data = {"keys": [key._asdict() for key in keys.values()]}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            if before is not None:
                os.fchown(handle, before.st_uid, before.st_gid)
                os.fchmod(handle, stat.S_IMODE(before.st_mode))
            json.dump(data, stream, indent=2)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
        sync_path(path.parent)  # or a power cut could bring a revoked key back
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


@contextlib.contextmanager
def changed_key_file(path: Path) -> Iterator[dict[str, ApiKey]]:
    """Give the keys of a file to be changed, and write them at the end.

    One process at a time, or a key that was made would be lost, and one that was revoked come back.
    """
    import fcntl  # noqa: PLC0415 - absent on Windows, where servers must still read keys

    path = path.resolve()  # not a link to it, or servers would go on reading the old file
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = _keys(path)
        yield keys
        write_key_file(path, keys)
    finally:
        os.close(folder)


class KeyRing:
    """The keys of a file, as they are now. InvalidDocument if it is there and is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _stamp(path)
        self._keys = _keys(path)

    def find(self, text: str) -> ApiKey | None:
        """Return the key that a text is, or None."""
        prefix, _, rest = text.partition("_")
        key = self._keys.get(rest.partition("_")[0]) if prefix == PREFIX else None
        if key is None or not hmac.compare_digest(_digest(text), key.digest):
            return None
        return key

    def refresh(self) -> None:
        """Read the file again if it has changed. A file that can not be read changes nothing."""
        try:
            seen = _stamp(self._path)
            if seen == self._seen:
                return
            self._keys = _keys(self._path)
            self._seen = seen
        except (OSError, InvalidDocument) as error:
            _log.error("http_keys_unreadable", file=str(self._path), reason=str(error))
        else:
            _log.info("http_keys_read", keys=len(self._keys))


def _keys(path: Path) -> dict[str, ApiKey]:
    """Return the keys of a file; none where there is no file yet."""
    return read_key_file(path) if path.exists() else {}


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
