"""Checking a deployment, before a worker starts and whenever somebody asks (`tollbook doctor`).

A worker looks only at what it stands on and refuses to start on the first error; doctor looks at
everything. What this client may not see, for want of rights, is a warning and no reason to refuse:
rights are kept apart by topic on purpose.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator

import structlog
from kafka.errors import KafkaConnectionError, KafkaError

from engine.adapters.kafka.admin import opened_admin
from engine.adapters.kafka.broker_checks import (
    check_disks,
    check_groups,
    check_open_transactions,
    check_settings,
    check_versions,
)
from engine.adapters.kafka.findings import Finding, raise_first_error
from engine.adapters.kafka.topic_checks import INPUTS_AND_JOURNAL, check_topics
from engine.adapters.kafka.topics import CONFIGS
from engine.settings import KafkaSettings

OUTPUTS = tuple(name for name in CONFIGS if name not in INPUTS_AND_JOURNAL)
_STANDS_ON = {"workers": INPUTS_AND_JOURNAL, "projectors": ("journal", *OUTPUTS)}
_CONNECT_SECONDS = 5.0
_PATIENCE_SECONDS = 15.0
"""With a cluster that is about to have leaders: new topics, a broker that has just started."""
_PAUSE_SECONDS = 0.2
_log = structlog.get_logger()


def refuse_unreachable(settings: KafkaSettings) -> None:
    """Raise KafkaConnectionError if nothing listens at any address: at once, unlike the client."""
    reasons = []
    for address in settings.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            reasons.append(f"{address.strip()}: {getattr(error, 'strerror', None) or error}")
        else:
            return
    raise KafkaConnectionError("; ".join(reasons))


def check_deployment(settings: KafkaSettings) -> list[Finding]:
    """Check everything about a deployment on a Kafka that answers."""
    with opened_admin(settings) as admin:
        return [
            *_seen("versions", lambda: check_versions(admin)),
            *_seen("broker settings", lambda: check_settings(admin)),
            *_seen("topics", lambda: check_topics(admin, settings, tuple(CONFIGS))),
            *_seen("groups", lambda: check_groups(admin, settings)),
            *_seen("transactions", lambda: check_open_transactions(admin, settings)),
            *_seen("disks", lambda: check_disks(admin.describe_log_dirs())),
        ]


def refuse_wrong_settings(settings: KafkaSettings, group: str) -> None:
    """Refuse to work on settings that lose data: InvalidDocument, saying what to change.

    `group`: `workers` or `projectors`.
    """
    with opened_admin(settings) as admin:
        findings = [
            *_seen("topics", lambda: check_topics(admin, settings, _STANDS_ON[group])),
            *_seen("broker settings", lambda: check_settings(admin)),
            *_seen("groups", lambda: check_groups(admin, settings, [group])),
        ]
    raise_first_error(findings)
    for finding in findings:
        if finding.level == "warning":
            _log.warning(
                "setting_risky",
                place=finding.place,
                value=finding.value,
                expected=finding.expected,
                advice=finding.advice,
            )


def _seen(what: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; a warning if Kafka does not let this client look."""
    since = time.monotonic()
    while True:
        try:
            yield from list(check())
        except KafkaError as error:
            if not error.retriable:
                advice = "Give this client the right to describe it, or ask somebody who may."
                reason = f"not seen: {type(error).__name__}"
                yield Finding("warning", what, reason, "to be seen", advice)
            elif time.monotonic() - since < _PATIENCE_SECONDS:
                time.sleep(_PAUSE_SECONDS)
                continue
            else:
                raise
        return
