"""`tollbook usage publish --from`, killed in the middle: every line is charged once, and none twice."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from engine.entrypoints.offline import OfflineRating
from engine.rating.charge import Charge
from tests.chaos.expectations import arrivals
from tests.chaos.processes import PATIENCE_SECONDS, TOLLBOOK, kill, kill_what_runs, start
from tests.stream.deployment import Deployment, flat

pytestmark = pytest.mark.kafka

LINES = 4_000
KILLS = (None, 0, 1_000, 3_000, 6_000, 9_000)
"""At how many published lines of all files a run is killed; None: while it begins."""
_SEED = 7
_BODIES = Path(__file__).parents[1] / "data" / "gateway" / "real_usage_bodies.jsonl"
_ID_FIELDS = {"openai": "id", "anthropic": "id", "google": "responseId"}
_CONTEXT = ("--occurred-at", "2026-11-24T09:00:00Z", "--source", "gateway-1")
RECORDS = ("--from", "auto", "--account", "acme", *_CONTEXT)
BARE = ("--from", "bedrock", "--account", "globex", "--id-prefix", "export-7/", *_CONTEXT)
PRICE = flat("0.000003")


def bodies(provider: str, first: int, count: int) -> list[dict[str, Any]]:
    """Return recorded bodies over and over, numbered as the provider does it, if it does."""
    recorded = [json.loads(line) for line in _BODIES.read_text().splitlines()]
    chosen = cycle(each["payload"] for each in recorded if each["provider"] == provider)
    name = _ID_FIELDS.get(provider)
    return [
        {**({name: f"{provider}-{number}"} if name else {}), **body}
        for number, body in enumerate(islice(chosen, count), first)
    ]


def text_of(records: Sequence[dict[str, Any]]) -> str:
    """Return JSON lines, of which the last one has not ended."""
    return "\n".join(json.dumps(record) for record in records)


def write(folder: Path, provider: str) -> Path:
    """Write a file of a provider's bodies, with an error response among them."""
    records = bodies(provider, 1, LINES)
    records[LINES // 2] = {"error": {"message": "overloaded", "type": "server_error"}}
    file = folder / f"{provider}.jsonl"
    file.write_text(text_of(records))
    return file


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix)
    found.publish_tariff(PRICE)
    found.open_accounts("plan", ["acme", "globex"])
    yield found
    kill_what_runs()
    found.close()


def published_lines(files: Sequence[Path]) -> int:
    """Return how many lines stand in the positions of files."""
    positions = [file.with_name(f"{file.name}.position") for file in files]
    return sum(json.loads(each.read_text())["lines"] for each in positions if each.exists())


def killed_runs(deployment: Deployment, options: Sequence[str], files: Sequence[Path]) -> None:
    """Publish files, killed again and again before it is done."""
    chance = random.Random(_SEED)  # noqa: S311 - a repeatable test, no secret
    for lines in KILLS:
        log = files[0].with_name("publish.log")
        command = ("usage", "publish", *options, *map(str, files))
        process = start(deployment.settings, *command, log=log)
        since = time.monotonic()
        while lines is not None and published_lines(files) <= lines:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - since < PATIENCE_SECONDS
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.03))
        assert process.poll() is None, log.read_text()
        kill(process)


def run(deployment: Deployment, *command: object) -> "subprocess.CompletedProcess[str]":
    """Run `tollbook usage COMMAND` to its end; it must go well."""
    settings = deployment.settings
    done = subprocess.run(
        [sys.executable, "-m", TOLLBOOK, "usage", *map(str, command)],
        env={"TOLLBOOK_BOOTSTRAP": settings.bootstrap, "TOLLBOOK_PREFIX": settings.prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def publish(deployment: Deployment, *command: object) -> tuple[dict[str, int], str]:
    """Publish to the end; return the counts, and what was told."""
    done = run(deployment, "publish", "--json", *command)
    return json.loads(done.stdout), done.stderr


def normalised(
    deployment: Deployment, options: Sequence[str], files: Sequence[Path]
) -> list[dict[str, Any]]:
    """Return the events of files, as `usage normalise` tells them."""
    texts = [run(deployment, "normalise", *options, file).stdout for file in files]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def expect_charged_once(deployment: Deployment, events: Sequence[dict[str, Any]]) -> None:
    """Check topic and journal against events: all there, charged once, as rated offline."""
    arrived = arrivals(deployment).events
    assert {each["event_id"] for each in arrived} == {each["event_id"] for each in events}
    counts = deployment.rate_all(len(arrived))
    assert (counts.charges, counts.rejections) == (len(events), 0)
    charges = deployment.charges()
    assert set(Counter(charge.event_id for charge in charges).values()) == {1}
    rating = OfflineRating([PRICE], None, frozenset(), [])
    offline: dict[str, int] = {}
    for line, event in enumerate(events):
        (charge,) = rating.rate(event, line)
        assert isinstance(charge, Charge)
        offline[charge.event_id] = charge.amount
    assert {charge.event_id: charge.amount for charge in charges} == offline
    assert sum(offline.values()) > 0


def test_a_backfill_killed_at_any_point_has_every_line_charged_once(
    deployment: Deployment, tmp_path: Path
) -> None:
    files = [write(tmp_path, provider) for provider in ("openai", "anthropic", "google")]
    killed_runs(deployment, RECORDS, files)
    before = published_lines(files)
    counts, told = publish(deployment, *RECORDS, *files)
    assert counts["published"] <= 3 * LINES - before
    assert f"{files[0]}: goes on after line {LINES}" in told
    assert publish(deployment, *RECORDS, *files)[0] == {
        "published": 0, "not_charged": 0, "refused": 0,
    }  # fmt: skip
    expect_charged_once(deployment, normalised(deployment, RECORDS, files))


def test_bodies_without_ids_keep_the_number_of_their_line_over_kills_and_growth(
    deployment: Deployment, tmp_path: Path
) -> None:
    file = write(tmp_path, "aws")
    log = tmp_path / "publish.log"
    process = start(deployment.settings, "usage", "publish", *BARE, str(file), log=log)
    while not published_lines([file]):
        assert process.poll() is None, log.read_text()
        time.sleep(0.005)
    kill(process)
    publish(deployment, *BARE, file)
    with file.open("a") as stream:
        stream.write("\n" + text_of(bodies("aws", 0, 100)))
    counts, told = publish(deployment, *BARE, file)
    assert counts["published"] == 100
    assert f"{file}: goes on after line {LINES}" in told
    assert publish(deployment, *BARE, "--again", file)[0]["published"] == LINES + 99
    expect_charged_once(deployment, normalised(deployment, BARE, [file]))


def test_a_file_that_grew_is_continued_and_another_one_in_its_place_is_told(
    deployment: Deployment, tmp_path: Path
) -> None:
    file = write(tmp_path, "openai")
    assert publish(deployment, *RECORDS, file)[0]["published"] == LINES - 1
    with file.open("a") as stream:
        stream.write("\n" + text_of(bodies("openai", LINES + 1, 200)) + "\n")
    counts, told = publish(deployment, *RECORDS, file)
    assert (counts["published"], counts["not_charged"]) == (200, 0)
    assert f"{file}: goes on after line {LINES}; --again reads it from its start" in told
    events = normalised(deployment, RECORDS, [file])
    file.write_text(text_of(bodies("openai", 2 * LINES, LINES + 500)))
    counts, told = publish(deployment, *RECORDS, file)
    assert counts["published"] == LINES + 500
    assert f"{file}: is read from its start: its first line is another one than before" in told
    expect_charged_once(deployment, [*events, *normalised(deployment, RECORDS, [file])])
