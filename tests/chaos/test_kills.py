"""Processes really killed: read_committed readers see each accepted event charged exactly once."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.adapters.avro.usage import Fields
from tests.chaos.expectations import expect_exactly_once
from tests.chaos.processes import kill, start, stop, wait_until
from tests.stream.deployment import Deployment, flat, usage

pytestmark = pytest.mark.kafka

ACCOUNTS = [f"tenant-{number}" for number in range(12)]


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1", per=3))
    deployment.open_accounts("plan", ACCOUNTS)
    yield deployment
    deployment.close()


def stream_of(events: int, chance: random.Random) -> list[Fields]:
    """Return a stream in which some events come twice and a few clash with an earlier one."""
    stream: list[Fields] = []
    for number in range(events):
        stream.append(usage(f"e{number}", ACCOUNTS[number % 12], quantities={"input": number + 1}))
        if chance.random() < 0.05:
            stream.append(chance.choice(stream))
        if chance.random() < 0.01:
            stream.append({**chance.choice(stream), "subject": "someone-else"})
    return stream


def kill_again_and_again(
    deployment: Deployment, log: Path, kills: int, events: int, seed: int
) -> None:
    """Stream usage while the worker is killed at random points and started again each time."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
    stream = stream_of(events, chance)
    worker = start(deployment.settings, "run", log=log)
    share = len(stream) // (kills + 1) + 1
    for first in range(0, len(stream), share):
        part = stream[first : first + share]
        goal = first + chance.randrange(len(part))  # killed somewhere within this part
        deployment.send_usage(part)
        if first + share < len(stream):
            wait_until(
                lambda goal=goal: deployment.counts().consumed >= goal,  # type: ignore[misc]
                f"{goal} events decided; see {log.read_text()[-2000:]}",
            )
            kill(worker)
            worker = start(deployment.settings, "run", log=log)
    wait_until(
        lambda: deployment.counts().consumed >= len(stream),
        f"all {len(stream)} events decided; see {log.read_text()[-2000:]}",
    )
    assert stop(worker) == 0
    expect_exactly_once(deployment, stream)


def test_a_worker_killed_at_several_points_charges_every_event_once(
    deployment: Deployment, tmp_path: Path
) -> None:
    kill_again_and_again(deployment, tmp_path / "worker.log", kills=5, events=6_000, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_a_worker_killed_many_times_charges_every_event_once(
    seed: int, deployment: Deployment, tmp_path: Path
) -> None:
    kill_again_and_again(
        deployment, tmp_path / "worker.log", kills=20, events=40_000, seed=100 + seed
    )


def test_a_projector_killed_midway_projects_every_record_once(
    deployment: Deployment, tmp_path: Path
) -> None:
    stream = stream_of(4_000, random.Random(7))  # noqa: S311 - a repeatable test, no secret
    deployment.send_usage(stream)
    deployment.rate_all(len(stream))
    charges = deployment.counts().charges
    log = tmp_path / "projector.log"
    for goal in (1, charges // 2):
        projector = start(deployment.settings, "project", log=log)
        wait_until(
            lambda goal=goal: len(deployment.read("charges")) >= goal,  # type: ignore[misc]
            f"{goal} charges projected; see {log.read_text()[-2000:]}",
        )
        kill(projector)
    begun = log.read_text().count("projector_started")
    projector = start(deployment.settings, "project", log=log)
    wait_until(lambda: log.read_text().count("projector_started") > begun, "it is up once more")
    wait_until(lambda: len(deployment.read("charges")) >= charges, "all charges projected")
    assert stop(projector) == 0
    assert deployment.records("charges") == deployment.charges()
    assert deployment.records("rejections") == deployment.rejections()
    assert deployment.live_balances() == deployment.replayed_balances()


def test_projected_topics_can_be_deleted_and_rebuilt(
    deployment: Deployment, tmp_path: Path
) -> None:
    stream = [*stream_of(500, random.Random(3)), usage("unknown", "nobody")]  # noqa: S311
    deployment.send_usage(stream)
    deployment.rate_all(len(stream))
    deployment.project_all()
    before = {topic: [r.value for r in deployment.read(topic)] for topic in ("charges", "alerts")}
    assert len(before["alerts"]) == 1
    balances = deployment.live_balances()
    projector = start(deployment.settings, "project", "--rebuild", log=tmp_path / "rebuild.log")
    wait_until(
        lambda: "projector_started" in (tmp_path / "rebuild.log").read_text(),
        "the topics are made anew",
    )
    wait_until(lambda: len(deployment.read("charges")) >= len(before["charges"]), "charges rebuilt")
    assert stop(projector) == 0
    again = {topic: [r.value for r in deployment.read(topic)] for topic in ("charges", "alerts")}
    assert again == before
    assert deployment.live_balances() == balances


def test_a_worker_that_is_asked_to_stop_ends_between_two_commits(
    deployment: Deployment, tmp_path: Path
) -> None:
    stream = stream_of(3_000, random.Random(9))  # noqa: S311 - a repeatable test, no secret
    deployment.send_usage(stream)
    log = tmp_path / "worker.log"
    worker = start(deployment.settings, "run", log=log)
    wait_until(lambda: deployment.counts().consumed > 0, "the worker has begun")
    assert stop(worker) == 0
    assert "worker_stopped" in log.read_text()
    deployment.rate_all(len(stream))
    expect_exactly_once(deployment, stream)
