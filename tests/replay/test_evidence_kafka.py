"""Verification and balances of two times, on a real Kafka and on an archive of it, by command."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.avro.usage import encode_usage
from engine.rating.charge import SETTLEMENT, Charge
from engine.rating.money import format_pico
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

pytestmark = pytest.mark.kafka
ACCOUNTS = [f"tenant-{number}" for number in range(6)]
OCTOBER, NOVEMBER = "2026-10-03T00:00:00Z", "2026-11-03T00:00:00Z"


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix)
    found.publish_tariff(flat("1", per=3, minimum="5"))
    found.open_accounts("plan", ACCOUNTS)
    yield found
    found.close()


def tollbook(deployment: Deployment, *arguments: object) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "TOLLBOOK_BOOTSTRAP": deployment.settings.bootstrap,
        "TOLLBOOK_PREFIX": deployment.settings.prefix,
    }
    command = [sys.executable, "-m", "engine.entrypoints.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def printed(done: "subprocess.CompletedProcess[str]") -> list[Any]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def consume(deployment: Deployment, events: int, when: str, first: int = 0) -> None:
    """Report usage of every account in turn, some twice and some on a wrong partition."""
    stream = [usage(f"e{first + n}", ACCOUNTS[n % 6], when) for n in range(events)]
    deployment.send_usage([*stream, *stream[:10]])
    wrong = (deployment.home("tenant-0") + 1) % PARTITIONS
    deployment.send_raw("usage", wrong, [encode_usage(usage(f"f{first}", "tenant-0", when)), b"?"])
    counts = deployment.rate_all(deployment.counts().consumed + events + 13)
    assert counts.conserved


def test_kafka_and_archive_verify_to_the_same_digests(
    deployment: Deployment, tmp_path: Path
) -> None:
    consume(deployment, 600, NOVEMBER)
    consume(deployment, 60, OCTOBER, first=1000)
    close = ("account", "close-period", "tenant-0", "2026-10", "--json")
    assert tollbook(deployment, *close).returncode == 0
    consume(deployment, 60, OCTOBER, first=2000)
    deployment.project_all()
    (from_kafka,) = printed(tollbook(deployment, "replay", "verify", "--json"))
    assert from_kafka["holds"]
    assert from_kafka["stands"] == from_kafka["again"]
    assert (from_kafka["charges"], from_kafka["compared"]) == (723, 6)
    assert from_kafka["counts"]["forwarded"] == 3
    assert from_kafka["settlements"] == 5
    settled = [charge for charge in deployment.charges() if charge.kind == SETTLEMENT]
    # 11 units had cost 3.67 of at least 5; the next four of 11 late ones settle it to nothing.
    assert [charge.account_id for charge in settled] == ["tenant-0"] * 5
    assert sum(charge.amount for charge in settled) == 0
    assert format_pico(settled[0].amount) == "1.333333333334"
    projected = {r.charge_id for r in deployment.records("charges") if isinstance(r, Charge)}
    assert {charge.charge_id for charge in settled} <= projected
    explained = tollbook(deployment, "audit", "explain", settled[1].charge_id)
    assert "settled again, the charge is the same to the byte" in explained.stdout
    assert (
        "the minimum is 5, usage comes to 4, 1.333333333334 was settled before" in explained.stdout
    )
    archive = tmp_path / "archive"
    printed(tollbook(deployment, "archive", "write", archive, "--json"))
    (from_archive,) = printed(
        tollbook(deployment, "replay", "verify", "--archive", archive, "--json")
    )
    assert from_archive == {**from_kafka, "compared": 0}


def test_balances_of_two_times(deployment: Deployment, tmp_path: Path) -> None:
    consume(deployment, 60, NOVEMBER)
    archive, checkpoint = tmp_path / "archive", tmp_path / "november-close.json"
    assert tollbook(deployment, "replay", "checkpoint", checkpoint).returncode == 0
    known = [b.due for b in deployment.replayed_balances()]
    consume(deployment, 60, OCTOBER, first=1000)
    printed(tollbook(deployment, "archive", "write", archive, "--json"))

    def dues(*arguments: object) -> list[str]:
        return [
            row["due"]
            for row in printed(tollbook(deployment, "replay", "balances", "--json", *arguments))
        ]

    assert dues() == dues("--archive", archive)
    assert dues("--known", checkpoint) == dues("--known", checkpoint, "--archive", archive)
    assert dues("--known", checkpoint) == [format_pico(due) for due in known]
    until_october = ("--at", "2026-10-31T00:00:00Z")
    assert dues(*until_october) == dues(*until_october, "--archive", archive)
    assert sum(map(float, dues(*until_october))) == pytest.approx(61 / 3)
    assert dues(*until_october, "--known", checkpoint) == []
    (first,) = dues("--account", "tenant-0", "--sequence", "3")
    assert first == format_pico(10**12 // 3)
    (opened,) = dues("--account", "tenant-0", "--sequence", "2")
    assert opened == "0"


def test_a_checkpoint_of_another_history_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    consume(deployment, 12, NOVEMBER)
    file = tmp_path / "checkpoint.json"
    assert tollbook(deployment, "replay", "checkpoint", file).returncode == 0
    assert tollbook(deployment, "replay", "checkpoint", file).returncode == 1
    data = json.loads(file.read_text())
    data["commits"][0]["digest"] = "00" * 32
    file.write_text(json.dumps(data))
    refused = tollbook(deployment, "replay", "balances", "--known", file)
    assert refused.returncode == 1
    assert "the checkpoint names 0000" in refused.stderr
    file.write_text("{}")
    assert (
        "a file of `tollbook replay checkpoint`"
        in tollbook(deployment, "replay", "balances", "--known", file).stderr
    )
