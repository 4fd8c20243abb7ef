"""The archive of a real deployment: whole, whatever is killed, and enough when Kafka forgets."""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.adapters.tariff_log import TARIFFS
from engine.ports import LogPruned
from engine.settings import WorkerSettings
from replay.archive import Archive, ArchiveLog, CombinedLog, Identity, sql
from replay.balances import replay_balances
from tests.chaos.processes import kill, kill_what_runs, start, stop, wait_until
from tests.replay.clusters import read_all
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

pytestmark = pytest.mark.kafka

ACCOUNTS = [f"tenant-{number}" for number in range(6)]


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    kill_what_runs()


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1", per=3))
    deployment.open_accounts("plan", ACCOUNTS)
    yield deployment
    deployment.close()


def events(first: int, number: int) -> list[dict[str, object]]:
    return [
        usage(f"e{n}", ACCOUNTS[n % len(ACCOUNTS)], quantities={"input": n + 1})
        for n in range(first, first + number)
    ]


class Commands:
    """`tollbook archive` as a person runs it."""

    def __init__(self, deployment: Deployment, folder: Path, log: Path) -> None:
        self._deployment = deployment
        self._folder = folder
        self._log = log

    def run(self, command: str, *options: str) -> str:
        """Run a command that must succeed; return what it and the others printed."""
        process = self.start(command, *options)
        assert process.wait(timeout=90) == 0, self._log.read_text()
        return self._log.read_text()

    def replay(self, *command: str) -> str:
        """Run a command that replays from the archive; return what it and the others printed."""
        arguments = (*command, "--archive", str(self._folder))
        assert start(self._deployment.settings, *arguments, log=self._log).wait(timeout=90) == 0
        return self._log.read_text()

    def start(self, command: str, *options: str) -> "subprocess.Popen[bytes]":
        """Start a command."""
        arguments = ("archive", command, str(self._folder), *options)
        return start(self._deployment.settings, *arguments, log=self._log)


@pytest.fixture
def commands(deployment: Deployment, tmp_path: Path) -> Commands:
    return Commands(deployment, tmp_path / "archive", tmp_path / "archive.log")


def expect_whole(deployment: Deployment, archive: Archive) -> None:
    """Check the archive against Kafka, record for record, and the balances it gives."""
    log = ArchiveLog(archive)
    assert read_all(log, archive.names()) == read_all(deployment.log, archive.names())
    assert replay_balances(log, PARTITIONS) == deployment.replayed_balances()


def test_a_deployment_is_archived_verified_and_compared_by_commands(
    deployment: Deployment, commands: Commands, tmp_path: Path
) -> None:
    deployment.send_usage(events(0, 300))
    deployment.send_raw("usage", 1, [b"poison", b"\xc3\x01"], [("ce_id", b"1"), ("ce_id", b"2")])
    deployment.rate_all(302)
    commands.run("write", "--segment-records", "3")
    archive = Archive(tmp_path / "archive")
    expect_whole(deployment, archive)
    commands.run("compact")
    expect_whole(deployment, archive)
    said = commands.run("verify", "--columns", "--against-kafka")
    assert "0 findings, 0 stray files" in said
    listed = commands.run("list", "--json")
    rows = [json.loads(line) for line in listed.splitlines() if line.startswith('{"topic"')]
    newest = rows[-len(archive.names()) :]
    assert sum(row["records"] for row in newest) == len(read_all(deployment.log, archive.names()))
    balances = sql(tmp_path / "archive", "SELECT account_id, due, charges FROM balances").fetchall()
    assert [(account, int(due.scaleb(12)), charges) for account, due, charges in balances] == [
        (b.account_id, b.due, b.charges) for b in deployment.replayed_balances()
    ]


def test_the_archive_of_another_deployment_is_refused(commands: Commands, tmp_path: Path) -> None:
    Archive.of(tmp_path / "archive", Identity("other.", PARTITIONS))
    assert commands.start("write").wait(timeout=60) == 1
    assert "is the archive of 'other.'" in (tmp_path / "archive.log").read_text()


def kill_archivers(
    deployment: Deployment, commands: Commands, folder: Path, kills: int, seed: int
) -> None:
    """Kill following archivers at random moments while a worker rates; then look at the archive."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
    worker = start(deployment.settings, "run", log=folder / "worker.log")
    each = 300
    for number in range(kills):
        options = ("--follow", "--seconds", "0.1", "--segment-records", "20")
        archiver = commands.start("write", *options)
        deployment.send_usage(events(number * each, each // 2))
        time.sleep(1.2 + chance.random() * 1.5)  # it needs about a second to be up
        deployment.send_usage(events(number * each + each // 2, each // 2))
        time.sleep(chance.random() * 0.6)
        kill(archiver)
    total = kills * each
    wait_until(lambda: deployment.counts().consumed >= total, f"{total} events decided")
    assert stop(worker) == 0
    commands.run("write")
    expect_whole(deployment, Archive(folder / "archive"))
    said = commands.run("verify", "--columns", "--against-kafka")
    assert "0 findings, 0 stray files" in said
    assert deployment.counts().charges == total


def test_an_archiver_killed_at_random_moments_leaves_no_gap_and_nothing_double(
    deployment: Deployment, commands: Commands, tmp_path: Path
) -> None:
    kill_archivers(deployment, commands, tmp_path, kills=4, seed=1)
    written = (tmp_path / "archive.log").read_text()
    assert written.count("segment_archived") >= 4


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_an_archiver_killed_many_times_leaves_no_gap_and_nothing_double(
    seed: int, deployment: Deployment, commands: Commands, tmp_path: Path
) -> None:
    kill_archivers(deployment, commands, tmp_path, kills=25, seed=100 + seed)


def test_a_following_archiver_merges_what_it_wrote_and_stops_when_asked(
    deployment: Deployment, commands: Commands, tmp_path: Path
) -> None:
    archiver = commands.start("write", "--follow", "--seconds", "0", "--segment-records", "1")
    for number in range(10):
        deployment.send_usage([usage(f"e{number}", ACCOUNTS[0])])
    log = tmp_path / "archive.log"
    wait_until(lambda: "segments_merged" in log.read_text(), "it merges")
    assert stop(archiver) == 0
    assert "archiver_stopped" in log.read_text()


def test_when_kafka_forgets_the_archive_remembers(
    deployment: Deployment, commands: Commands, tmp_path: Path
) -> None:
    deployment.send_usage(events(0, 200))
    deployment.rate_all(200)
    commands.run("write")
    before = deployment.replayed_balances()
    assert "nothing deleted: a dry run" in commands.run("prune", "--with-journal", "--dry-run")
    assert deployment.replayed_balances() == before
    commands.run("prune", "--with-journal")
    with pytest.raises(LogPruned):
        deployment.replayed_balances()
    archive = Archive(tmp_path / "archive")
    combined = CombinedLog(ArchiveLog(archive), deployment.log)
    assert replay_balances(ArchiveLog(archive), PARTITIONS) == before
    assert replay_balances(combined, PARTITIONS) == before
    explained = commands.replay("audit", "explain", f"{ACCOUNTS[1]},gateway-1,e1")
    assert "rated again, the charge is the same to the byte" in explained
    replayed = commands.replay("replay", "balances", "--json")
    assert [json.loads(line)["account_id"] for line in replayed.splitlines()[-len(before) :]] == [
        balance.account_id for balance in before
    ]
    assert (
        len(read_all(deployment.log, archive.names("tariffs"))) == archive.manifest(TARIFFS).records
    )
    deployment.send_usage(events(200, 50))
    commands.run("write")
    usage_names = archive.names("usage")
    assert ArchiveLog(archive).ends(usage_names) == deployment.log.ends(usage_names)
    said = commands.run("verify", "--against-kafka")
    assert said.splitlines()[-1].endswith("0 findings, 0 stray files (they do not count)")


def test_the_numbers_of_a_publisher_are_complete_although_kafka_forgot_the_first(
    deployment: Deployment, commands: Commands
) -> None:
    numbered = [
        event | {"publisher": "edge-1", "publisher_sequence": number}
        for number, event in enumerate(events(0, 60), start=1)
    ]
    deployment.send_usage(numbered[:40])
    deployment.rate_all(40)
    commands.run("write")
    commands.run("prune")
    deployment.send_usage(numbered[40:])
    shown = commands.replay("usage", "completeness", "--json").splitlines()[-1]
    assert json.loads(shown) == {
        "publisher": "edge-1",
        "events": 60,
        "last_sequence": 60,
        "duplicates": 0,
        "missing": 0,
        "gaps": [],
    }


def test_a_worker_that_lost_its_caches_recovers_what_kafka_forgot_from_the_archive(
    deployment: Deployment, commands: Commands, tmp_path: Path
) -> None:
    deployment.send_usage(events(0, 100))
    deployment.rate_all(100)
    deployment.project_all()
    commands.run("write")
    commands.run("prune", "--with-journal")
    shutil.rmtree(deployment.folder)
    deployment.send_usage(events(50, 100))
    with deployment.worker() as worker, pytest.raises(LogPruned):
        deployment.work_until(worker, 200)
    with deployment.worker(settings=WorkerSettings(archive=tmp_path / "archive")) as worker:
        deployment.work_until(worker, 200)
    commands.run("write")
    charges = sql(tmp_path / "archive", "SELECT count(*), count(DISTINCT charge_id) FROM charges")
    assert charges.fetchall() == [(150, 150)]


def test_usage_that_no_worker_has_read_yet_is_not_pruned(
    deployment: Deployment, commands: Commands
) -> None:
    deployment.send_usage(events(0, 60))
    deployment.rate_all(60)
    deployment.send_usage(events(60, 60))
    commands.run("write")
    commands.run("prune")
    counts = deployment.rate_all(120)
    assert (counts.consumed, counts.charges) == (120, 120)
