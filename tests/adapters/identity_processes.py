"""Processes of their own for the identity index: `python -m tests.adapters.identity_processes`.

A lock, a kill, a limit on file sizes and a peak of memory are properties of a process.
"""

import resource
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from engine.adapters.identities import RocksIdentityIndexes
from engine.ports import Stamp

PARTITION = 3
PER_COMMIT = 1_000
PER_WRITE = 100_000


def identity(number: int) -> str:
    """Return the identity of a number."""
    return sha256(b"identity %d" % number).hexdigest()[:32]


def digest(number: int) -> bytes:
    """Return the digest of a number."""
    return sha256(b"digest %d" % number).digest()


def standing(number: int) -> bytes:
    """Return what stands of a number: as long as of a charge of a few lines."""
    line = b'["tokens","output",%d,"plan/tokens/acme/2026-11",%d,""]' % (number, number * 10**12)
    return b",".join((b'"login-%d","2026-11","openai","gpt-4o"' % number, line, line, line))


def say(text: str) -> None:
    """Tell the test, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def hold(folder: Path) -> None:
    """Hold the partition until the end of input."""
    index = RocksIdentityIndexes(folder).open(PARTITION)
    say(f"holding {index.stamp.commit}")
    sys.stdin.read()


def write_on(folder: Path) -> None:
    """Write commit after commit, from the one behind the stamp, until killed."""
    index = RocksIdentityIndexes(folder).open(PARTITION)
    commit = index.stamp.commit
    while True:
        commit += 1
        for number in range((commit - 1) * PER_COMMIT, commit * PER_COMMIT):
            index.add(identity(number), digest(number), standing(number))
        index.write(Stamp(commit, digest(commit), commit))
        say(str(commit))


def fill_up(folder: Path) -> None:
    """Write until files may not grow, then give room again: nothing may be lost."""
    index = RocksIdentityIndexes(folder).open(PARTITION)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 2**20, resource.RLIM_INFINITY))
    commit = refused = 0
    while refused < 3:
        commit += 1
        for number in range((commit - 1) * PER_COMMIT, commit * PER_COMMIT):
            index.add(identity(number), digest(number), standing(number))
        try:
            index.write(Stamp(commit, digest(commit), commit))
        except OSError as error:
            refused += 1
            say(f"refused {commit} errno {error.errno}")
        assert index.stamp.commit == commit - refused
        assert index.unwritten == refused * PER_COMMIT
        for number in (0, commit * PER_COMMIT - 1):
            assert index.get(identity(number)) == digest(number)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    index.write(Stamp(commit, digest(commit), commit))
    index.close()
    say(f"written {commit}")


def grow(folder: Path, count: str) -> None:
    """Write many, ask for some of them and some others, and tell the peak of memory in KiB."""
    index = RocksIdentityIndexes(folder).open(PARTITION)
    begin, total = time.monotonic(), int(count)
    for first in range(0, total, PER_WRITE):
        for number in range(first, first + PER_WRITE):
            index.add(identity(number), digest(number), standing(number))
        index.write(Stamp(first // PER_WRITE + 1, bytes(32), first))
    seconds = time.monotonic() - begin
    step = max(total // 50_000, 1)
    for number in range(0, total, step):
        assert index.get(identity(number)) == digest(number)
        assert index.get(identity(total + number)) is None
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    say(f"{peak} {total / seconds:.0f}")
    index.close()


if __name__ == "__main__":
    command, place, *rest = sys.argv[1:]
    commands: dict[str, Callable[..., None]] = {
        "hold": hold,
        "write_on": write_on,
        "fill_up": fill_up,
        "grow": grow,
    }
    commands[command](Path(place), *rest)
