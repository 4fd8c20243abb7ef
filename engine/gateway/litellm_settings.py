"""How the LiteLLM callback is set up: by the environment, because its config is one line."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.gateway.errors import SpoolInUse
from engine.rating.errors import InvalidDocument
from engine.settings import KafkaSettings, home, kafka_settings

if TYPE_CHECKING:
    from engine.gateway import Publisher
    from engine.gateway.record_publisher import RecordPublisher
    from engine.gateway.tally import Tally

_KEY_FIELDS = {
    "organisation": "org_id",
    "team": "team_id",
    "project": "project_id",
    "user": "user_id",
    "key_alias": "key_alias",
    "key_hash": "token",
}
DEFAULT_ACCOUNTS = "organisation,team,key_hash"
"""As the normaliser of LiteLLM's logs does it. No alias: users may name their own keys."""

_MOST_PROCESSES = 256


class LiteLLMSettings(NamedTuple):
    """What the callback needs to know.

    `accounts`: what of a key names the account, the first that the key has counts; `account`: whom
    to charge for calls of a key that has none of them, and for calls without a key. `signing_key`:
    what signs the records, where the source's registration asks for it.
    """

    kafka: KafkaSettings
    source: str
    spool: Path
    accounts: tuple[str, ...] = tuple(DEFAULT_ACCOUNTS.split(","))
    account: str = ""
    signing_key: bytes | None = None

    def account_of(self, key: Any) -> str:
        """Return the account of a key that LiteLLM checked; empty if there is none."""
        named = (getattr(key, _KEY_FIELDS[name], None) for name in self.accounts)
        return next((str(account) for account in named if account), self.account)


def litellm_settings(environment: Mapping[str, str] = os.environ) -> LiteLLMSettings:
    """Return the settings of the TOLLBOOK_... variables (docs/reference/settings.md)."""
    names = environment.get("TOLLBOOK_LITELLM_ACCOUNT", DEFAULT_ACCOUNTS)
    accounts = tuple(name.strip() for name in names.split(",") if name.strip())
    if not accounts or any(name not in _KEY_FIELDS for name in accounts):
        raise InvalidDocument(
            "TOLLBOOK_LITELLM_ACCOUNT", names, f"some of {', '.join(_KEY_FIELDS)}"
        )
    spool = environment.get("TOLLBOOK_SPOOL", "")
    source = environment.get("TOLLBOOK_SOURCE", "") or "litellm"
    return LiteLLMSettings(
        kafka_settings(environment=environment),
        source,
        Path(spool).expanduser() if spool else home(environment) / "spool",
        accounts,
        environment.get("TOLLBOOK_ACCOUNT", ""),
        _signing_key(environment.get("TOLLBOOK_SOURCE_KEYS", ""), source),
    )


def _signing_key(file: str, source: str) -> bytes | None:
    if not file:
        return None
    from engine.adapters.source_keys import signing_key  # noqa: PLC0415  # needs LiteLLM's PyYAML

    return signing_key(Path(file), source, "TOLLBOOK_SOURCE_KEYS")


def open_records(settings: LiteLLMSettings, tally: "Tally") -> "RecordPublisher":
    """Open a publisher of records on the first spool that no other process uses."""
    from engine.gateway.record_publisher import RecordPublisher  # noqa: PLC0415  # as below

    publisher = open_publisher(settings)
    try:
        return RecordPublisher(publisher, tally=tally)
    except BaseException:
        publisher.close(0)  # gives its spool back
        raise


def open_publisher(settings: LiteLLMSettings) -> "Publisher":
    """Open a publisher on the first spool that no other process uses.

    A proxy with several worker processes has several spools, and one that was killed leaves its
    own to the next that starts.
    """
    from engine.gateway import Publisher  # noqa: PLC0415  # settings alone need no Kafka client

    for number in range(1, _MOST_PROCESSES + 1):
        try:
            return Publisher(
                settings.kafka.bootstrap,
                settings.source,
                spool=settings.spool / f"litellm-{number}",
                prefix=settings.kafka.prefix,
                publisher=f"{socket.gethostname()[:64]}-litellm-{number}",
                options=dict(settings.kafka.options),
                signing_key=settings.signing_key,
            )
        except SpoolInUse:
            continue
    raise InvalidDocument("TOLLBOOK_SPOOL", str(settings.spool), "a folder with a free spool")
