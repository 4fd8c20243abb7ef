"""The life of an account through the command line and a real Kafka, and the clock that moves it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.entrypoints.cli.main import app
from engine.rating.charge import EXPIRY
from tests.stream.deployment import PARTITIONS, Deployment, flat, turns_until, usage

pytestmark = pytest.mark.kafka

Tollbook = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    yield deployment
    deployment.close()


@pytest.fixture
def tollbook(deployment: Deployment) -> Tollbook:
    """Return what runs the command against the deployment, and gives the JSON lines it prints."""
    environment = {
        "TOLLBOOK_BOOTSTRAP": deployment.settings.bootstrap,
        "TOLLBOOK_PREFIX": deployment.settings.prefix,
    }

    def call(arguments: str, *more: object) -> list[dict[str, Any]]:
        listed = [*arguments.split(), *(str(argument) for argument in more)]
        ran = CliRunner(env=environment).invoke(app, listed)
        assert ran.exit_code == 0, (ran.output, ran.exception)
        return [json.loads(line) for line in ran.stdout.splitlines()]

    return call


def work(deployment: Deployment, events: int, consumed: int = 0) -> None:
    """Run a worker until so many usage events and commands are decided."""

    def seen() -> tuple[int, int]:
        commands = {event.position for event in deployment.account_events() if event.command_id}
        return len(commands), deployment.counts().consumed

    with deployment.worker() as worker:
        turns_until(worker.turn, seen, lambda now: now[0] >= events and now[1] >= consumed)


def test_what_operators_type_is_what_the_account_becomes(
    deployment: Deployment, tollbook: Tollbook
) -> None:
    tollbook("account open acme --json")
    tollbook("account assign acme plan --from 2026-01-01T00:00:00Z --json")
    tollbook("account grant acme free --tokens 3 --from 2026-11-01T00:00:00Z --json")
    paid = "account recharge acme --money 2.5 --from 2026-11-01T00:00:00Z --command-id inv-1 --json"
    tollbook(paid)
    tollbook(paid)
    tollbook("account limit acme monthly --spend 100 --json")
    tollbook("account adjust acme -0.5 --reason goodwill --at 2026-11-24T00:00:00Z --json")
    tollbook("account adjust acme -9 --reason big --needs-approval --principal alice "
             "--command-id credit-7 --json")  # fmt: skip
    tollbook("account void-grant acme unknown --json")
    work(deployment, events=9)
    deployment.send_usage([usage("e1", quantities={"input": 7})])
    work(deployment, events=9, consumed=1)

    (account,) = tollbook("account show acme")
    assert account["due"] == "1"
    states = [(b["bucket"].partition("-")[0], b["remaining"]) for b in account["buckets"]]
    assert states == [("free", "0"), ("recharge", "0")]
    assert account["limits"]["monthly"]["used"] == {"account": {"2026-11": "4"}}
    (waiting,) = account["awaiting_approval"]
    assert waiting == {"command_id": "credit-7", "principal": "alice", "asks": "adjust: -9: big"}

    tollbook("account approve acme credit-7 --principal alice --json")
    tollbook("account approve acme credit-7 --principal bob --json")
    work(deployment, events=11, consumed=1)
    (account,) = tollbook("account show acme")
    assert (account["due"], account["awaiting_approval"]) == ("-8", [])

    rows = tollbook("account history acme --json")
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    refusals = [row["explanation"].partition(":")[0] for row in rows
                if row["what"] == "command_refused"]  # fmt: skip
    assert refusals == ["duplicate_command", "unknown_grant", "second_principal_needed"]
    (charge,) = tollbook("account history acme --kind usage --json")
    assert (charge["amount"], charge["due"]) == ("4", "1")
    assert [moved["units"] for moved in charge["buckets"]] == ["3", "2.5"]
    (last,) = tollbook("account history acme --limit 1 --json")
    assert (last["what"], last["due"]) == ("adjustment", "-8")


def test_a_file_of_orders_acts_once_however_often_it_is_applied(
    deployment: Deployment, tollbook: Tollbook, tmp_path: Path
) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(
        """
        - {account_id: acme, do: open}
        - {account_id: acme, do: assign, tariff_id: plan}
        - account_id: acme
          do: grant
          grant_id: free
          unit: tokens
          amount: 5
          valid_from: 2026-11-01T00:00:00Z
        - {account_id: acme, do: recharge, bucket: free, amount: 2, key: invoice-9}
        - {account_id: globex, do: open, currency: EUR}
        """
    )
    assert tollbook("account apply", file, "--json") == [{"written": 5, "accounts": 2}]
    tollbook("account apply", file, "--json")
    work(deployment, events=10)
    (account,) = tollbook("account show acme")
    assert [bucket["granted"] for bucket in account["buckets"]] == ["7"]
    rows = tollbook("account history acme --kind command_refused --json")
    assert [row["explanation"].partition(":")[0] for row in rows] == ["duplicate_command"] * 4


def test_the_clock_lets_a_bucket_expire(deployment: Deployment, tollbook: Tollbook) -> None:
    tollbook("account open acme --json")
    tollbook("account grant acme free --tokens 3 --from 2026-11-01T00:00:00Z --for 1d --json")
    (ticked,) = tollbook("clock --to 2026-11-01T12:00:00Z --json")
    assert ticked == {"until": "2026-11-01T12:00:00.000000Z", "partitions": PARTITIONS}
    tollbook("clock --once --json")
    with deployment.worker() as worker:
        turns_until(
            worker.turn, lambda: [charge.kind for charge in deployment.charges()],
            lambda kinds: EXPIRY in kinds,
        )  # fmt: skip
    (expired,) = tollbook("account history acme --kind expiry --json")
    assert expired["explanation"] == "free: 3 expired"


def test_a_clock_ticks_until_it_is_told_to_stop(deployment: Deployment) -> None:
    environment = {
        **os.environ,
        "TOLLBOOK_BOOTSTRAP": deployment.settings.bootstrap,
        "TOLLBOOK_PREFIX": deployment.settings.prefix,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.entrypoints.cli", "clock", "--every", "0.5"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    since = time.monotonic()
    while len(deployment.read("accounts")) < 2 * PARTITIONS:
        assert time.monotonic() - since < 60
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 0, messages
    events = [json.loads(line)["event"] for line in messages.splitlines()]
    ours = [event for event in events if event != "kafka_client"]
    assert ours[:2] == ["clock_started", "time_advanced"]
    assert ours[-1] == "clock_stopped"
