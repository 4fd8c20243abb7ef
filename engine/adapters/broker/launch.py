"""From a folder to a broker that answers: format, spawn, wait, believe nothing unchecked.

A free port can be lost to another process between the choice and the listening, so a start on a
port of our choosing is tried again; on a port that was asked for it is not, and says so. Whatever
goes wrong on the way, also Ctrl-C, no process stays behind.
"""

import base64
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL

from engine.adapters.broker.configuration import LOG4J_PROPERTIES, Listeners, server_properties
from engine.adapters.broker.errors import BrokerDidNotStart, PortTaken
from engine.adapters.broker.jar_lock import KAFKA_VERSION
from engine.adapters.broker.jars import kafka_jars
from engine.adapters.broker.java import find_java
from engine.adapters.broker.loopback import free_port, is_free
from engine.adapters.broker.probe import cluster_id_at
from engine.adapters.broker.process import MarkedProcess, spawn
from engine.adapters.broker.state import BrokerState, read_state

_ATTEMPTS = 3
_START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_TAIL_LINES = 20
# A small heap that still holds some transactions of 16 MB in flight. Both compilers stay on:
# without C2 the start is 0.4 s quicker, and every benchmark measures the wrong thing.
_JVM_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are inside a broker's folder."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def log4j(self) -> Path:
        return self.folder / "log4j2.properties"

    @property
    def logs(self) -> Path:
        return self.folder / "log"


def launch(folder: Path, port: int | None) -> BrokerState:
    """Start a broker in `folder`, where none runs, and return its state once it answers.

    Raises as `LocalBroker.start` does.
    """
    layout = _Layout(folder)
    layout.logs.mkdir(exist_ok=True)
    layout.log4j.write_text(LOG4J_PROPERTIES)
    java_command = _java_command(layout)
    for attempt in range(1, _ATTEMPTS + 1):
        listeners = _choose_listeners(folder, port)
        layout.properties.write_text(server_properties(listeners, layout.data))
        cluster_id = _cluster_id(layout) or _format(layout, java_command)
        try:
            return _start_once(layout, java_command, listeners, cluster_id)
        except PortTaken:
            if port is not None or attempt == _ATTEMPTS:
                raise
    raise AssertionError  # the last attempt returns or raises


def _choose_listeners(folder: Path, port: int | None) -> Listeners:
    if port is None:
        previous = read_state(folder)
        reusable = previous is not None and is_free(previous.port)
        client_port = previous.port if previous and reusable else free_port()
    elif is_free(port):
        client_port = port
    else:
        raise PortTaken(port)
    return Listeners(client_port, free_port(besides=client_port))


def _java_command(layout: _Layout) -> list[str]:
    return [
        str(find_java()),
        *_JVM_OPTIONS,
        f"-Dlog4j2.configurationFile={layout.log4j}",
        "-cp",
        f"{kafka_jars()}/*",
    ]


def _java_environment() -> dict[str, str]:
    # Java decodes file names by the locale; in the C locale it cannot open an accented home.
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _cluster_id(layout: _Layout) -> str | None:
    """Return the cluster id that the data folder was formatted with, None if it is new."""
    try:
        text = (layout.data / "meta.properties").read_text()
    except FileNotFoundError:
        return None
    found = re.search(r"^cluster\.id=(\S+)$", text, re.MULTILINE)
    return found.group(1) if found else None


def _format(layout: _Layout, java_command: list[str]) -> str:
    cluster_id = _new_cluster_id()
    command = [
        *java_command,
        f"-Dtollbook.log={layout.logs / 'format'}",
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster_id}",
        f"--config={layout.properties}",
    ]
    done = subprocess.run(  # noqa: S603 (java and our own arguments)
        command, env=_java_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BrokerDidNotStart(
            f"{layout.data} could not be formatted", f"{done.stdout}{done.stderr}"
        )
    return cluster_id


def _new_cluster_id() -> str:
    """Return a Kafka Uuid: 16 random bytes in URL-safe base64, without padding."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _start_once(
    layout: _Layout, java_command: list[str], listeners: Listeners, cluster_id: str
) -> BrokerState:
    mark = f"-Dtollbook.mark={uuid.uuid4().hex}"
    command = [
        *java_command,
        mark,
        f"-Dtollbook.log={layout.logs / 'broker'}",
        "kafka.Kafka",
        str(layout.properties),
    ]
    process = spawn(command, mark, _java_environment(), layout.logs / "jvm.log")
    state = BrokerState(
        process_id=process.process_id,
        mark=mark,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        port=listeners.client_port,
        bootstrap=listeners.bootstrap,
        cluster_id=cluster_id,
        data_folder=str(layout.data),
        kafka_version=KAFKA_VERSION,
    )
    try:
        state.write(layout.folder)
        _wait_until_it_answers(layout, process, listeners, cluster_id)
    except BaseException:
        process.send(SIGKILL)
        process.has_ended_within(_START_SECONDS)
        raise
    return state


def _wait_until_it_answers(
    layout: _Layout, process: MarkedProcess, listeners: Listeners, cluster_id: str
) -> None:
    answered: str | None = None
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        answered = cluster_id_at(listeners.bootstrap)
        # In this order: an answer counts only from a process that is still there after it.
        if not process.is_running():
            raise _reason_of_end(layout, listeners)
        if answered == cluster_id:
            return
        time.sleep(_POLL_SECONDS)
    raise BrokerDidNotStart(
        f"no answer from {listeners.bootstrap} as cluster {cluster_id} in {_START_SECONDS:g} s,"
        f" but {f'as {answered}' if answered else 'none'}",
        _log_tail(layout),
    )


def _reason_of_end(layout: _Layout, listeners: Listeners) -> PortTaken | BrokerDidNotStart:
    for port in (listeners.client_port, listeners.controller_port):
        if not is_free(port):  # ours is gone, so it is somebody else's
            return PortTaken(port)
    return BrokerDidNotStart(
        f"its process ended; all of its log is in {layout.logs}", _log_tail(layout)
    )


def _log_tail(layout: _Layout) -> str:
    return "\n".join(
        [
            *_last_lines(layout.logs / "jvm.log"),
            *_last_lines(layout.logs / "broker.log"),
        ]
    )


def _last_lines(path: Path) -> Iterable[str]:
    if not path.exists():
        return []
    return path.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
