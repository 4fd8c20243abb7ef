"""A seeded storm: usage keeps coming while workers, broker and caches are treated badly.

A storm is a list of actions, shuffled by its seed, each followed by a pause of its choosing. When
it is over, everything that arrived is waited for and checked. A failure names the seed and tells
what was done, so the same storm can be started again; processes have their own timing, so it is the
same weather, not the same raindrops.
"""

import itertools
import math
import random
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from kafka.errors import KafkaError

from engine.adapters.broker import LocalBroker
from engine.entrypoints.live import LiveBalances
from engine.ports import CommitFailed, LogStalled, LogUnavailable
from tests.chaos.expectations import arrivals, expect_exactly_once
from tests.chaos.feeder import Feeder
from tests.chaos.fleet import Fleet
from tests.chaos.processes import kill_what_runs
from tests.stream.deployment import Deployment, flat

ACCOUNTS = [f"tenant-{number}" for number in range(12)]
_PATIENCE_SECONDS = 180.0
"""Without any progress; a broker that is back and a worker that starts take seconds each."""
_Found = TypeVar("_Found")


class Storm:
    """One broker, one deployment, one feeder and up to three workers."""

    def __init__(self, folder: Path, seed: int, per_second: int = 300) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
        self.story: list[str] = []
        self.folder = folder
        self.broker = LocalBroker.start(folder / "broker")
        self.deployment = Deployment(self.broker.bootstrap, f"storm-{seed}.")
        self.deployment.publish_tariff(flat("1", per=3))
        self.deployment.open_accounts("plan", ACCOUNTS)
        self.fleet = Fleet(self.deployment.settings, folder)
        self.feeder = Feeder(self.deployment.settings, ACCOUNTS, seed, per_second)
        self._since = time.monotonic()

    def tell(self, what: str) -> None:
        """Remember what was done, and when."""
        self.story.append(f"{time.monotonic() - self._since:7.1f} s  {what}")

    def run(self, plan: Mapping[str, int]) -> None:
        """Do so many of each action in a random order, then check everything."""
        actions = [name for name, times in plan.items() for _ in range(times)]
        self.chance.shuffle(actions)
        try:
            self.fleet.start("worker-1")
            self.fleet.start("worker-2")
            with self.feeder:
                self.pause_until(lambda: self.fleet.works("worker-1"))
                for name in actions:
                    self.fleet.tend()
                    ACTIONS[name](self)
                    self.pause(self.chance.uniform(0.2, 3.0))
                self.tell("end of usage")
            self._settle()
        except BaseException as error:
            self.tell(f"{type(error).__name__}: {error}"[:4000])
            error.add_note(f"seed {self.seed}\n" + "\n".join(self.story))
            raise
        finally:
            (self.folder / "story.txt").write_text("\n".join(self.story))

    def pause(self, seconds: float) -> None:
        """Let time pass while the supervisor looks after the workers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.fleet.tend()
            time.sleep(0.05)

    def pause_until(self, done: Callable[[], bool], seconds: float = 12.0) -> None:
        """Let time pass until something is so, or it takes too long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not done():
            self.pause(0.1)

    def _settle(self) -> None:
        """Wait until all that arrived is decided, stop the workers, check, and project."""
        for slot in list(self.fleet.frozen):
            self.pause_until(lambda slot=slot: slot not in self.fleet.frozen)  # type: ignore[misc]
        if not self.fleet.running:
            self.fleet.start("worker-1")
        goal = patiently(lambda: arrivals(self.deployment)).consumed
        seen, since = -1, time.monotonic()
        while seen < goal:
            self.fleet.tend()
            consumed = patiently(self.deployment.counts).consumed
            if consumed > seen:
                seen, since = consumed, time.monotonic()
            assert time.monotonic() - since < _PATIENCE_SECONDS, f"{seen} of {goal} decided"
            time.sleep(0.1)
        self.tell(f"all {goal} decided")
        for slot in self.fleet.awake:
            self.fleet.stop(slot)
        self.tell(f"stopped; {dict(self.fleet.counted)}")
        self.tell(f"longest pauses of a partition: {self._pauses()[-8:]}")
        expect_exactly_once(self.deployment, self.feeder.sent)
        self._expect_live_balances()
        self.tell("checked")

    def _pauses(self) -> list[float]:
        """Return the seconds between one commit of a partition and its next, in order."""
        commits: dict[int, list[int]] = {}
        for record in self.deployment.read("journal"):
            commits.setdefault(record.partition, []).append(record.appended_at)
        return sorted(
            round((later - earlier) / 1e6, 1)
            for times in commits.values()
            for earlier, later in itertools.pairwise(times)
        )

    def _expect_live_balances(self) -> None:
        replayed = self.deployment.replayed_balances()
        live = LiveBalances(self.deployment.log)
        since = time.monotonic()
        with self.deployment.projector() as projector:
            while sorted(live.refresh().values()) != replayed:
                assert time.monotonic() - since < _PATIENCE_SECONDS, "live balances differ"
                projector.turn()

    def close(self) -> None:
        """End what runs."""
        kill_what_runs()
        self.deployment.close()
        self.broker.stop()


def patiently(look: Callable[[], _Found]) -> _Found:
    """Look until the broker answers."""
    since = time.monotonic()
    while True:
        try:
            return look()
        except (KafkaError, LogUnavailable, LogStalled, CommitFailed):
            if time.monotonic() - since > _PATIENCE_SECONDS:
                raise
            time.sleep(0.5)


def _kill_worker(storm: Storm) -> None:
    """Kill a worker somewhere in its work, sometimes in its start; mostly it comes back at once."""
    if not storm.fleet.awake:
        storm.fleet.start(storm.fleet.free[0])
    slot = storm.chance.choice(storm.fleet.awake)
    if storm.chance.random() < 0.8:
        storm.pause_until(lambda: slot not in storm.fleet.running or storm.fleet.works(slot))
        storm.pause(storm.chance.uniform(0.0, 1.0))
    if slot in storm.fleet.running:
        storm.fleet.kill(slot)
        storm.tell(f"killed {slot}")
        if storm.chance.random() < 0.7 or not storm.fleet.running:
            storm.fleet.start(slot)


def _stop_worker(storm: Storm) -> None:
    """Stop a worker in peace and start it again."""
    if storm.fleet.awake:
        slot = storm.chance.choice(storm.fleet.awake)
        storm.fleet.stop(slot)
        storm.fleet.start(slot)
        storm.tell(f"stopped and started {slot}")


def _add_worker(storm: Storm) -> None:
    if storm.fleet.free:
        slot = storm.chance.choice(storm.fleet.free)
        storm.fleet.start(slot)
        storm.tell(f"added {slot}")


def _remove_worker(storm: Storm) -> None:
    if len(storm.fleet.awake) > 1:
        slot = storm.chance.choice(storm.fleet.awake)
        storm.fleet.stop(slot)
        storm.tell(f"removed {slot}")


def _freeze_worker(storm: Storm) -> None:
    """Freeze a worker past its session timeout while the others, if any, take over."""
    if not storm.fleet.awake:
        storm.fleet.start(storm.chance.choice(storm.fleet.free))
    slot = storm.chance.choice(storm.fleet.awake)
    storm.pause_until(lambda: slot not in storm.fleet.running or storm.fleet.works(slot))
    if slot not in storm.fleet.running:
        return
    storm.fleet.freeze(slot)
    storm.tell(f"froze {slot}; awake: {storm.fleet.awake}")
    if not storm.fleet.awake and storm.chance.random() < 0.7:
        storm.fleet.start(storm.fleet.free[0])


def _kill_broker(storm: Storm) -> None:
    storm.fleet.broker_back_at = math.inf
    storm.broker.kill()
    storm.tell("killed the broker")
    storm.pause(storm.chance.uniform(0.0, 2.0))
    _restart(storm)
    storm.fleet.counted["broker_kills"] += 1


def _restart_broker(storm: Storm) -> None:
    _restart(storm)
    storm.fleet.counted["broker_restarts"] += 1


def _restart(storm: Storm) -> None:
    storm.fleet.broker_back_at = math.inf
    storm.broker.restart()
    storm.fleet.broker_back_at = time.monotonic()
    storm.tell("the broker answers")


def _caches(storm: Storm, kind: str) -> list[Path]:
    return list(storm.folder.glob(f"home/state/*/*/{kind}"))


def _delete_snapshots(storm: Storm) -> None:
    for folder in _caches(storm, "snapshots"):
        shutil.rmtree(folder, ignore_errors=True)
    storm.tell("deleted the snapshots")


def _delete_identities(storm: Storm) -> None:
    """Delete every identity index, under the hands of the workers that use them.

    At one stroke: a folder that still loses files while another worker opens it is no folder.
    """
    for folder in _caches(storm, "identities"):
        shutil.rmtree(folder.rename(storm.folder / f"deleted-{time.monotonic()}"))
    storm.tell("deleted the identity indexes")


def _damage_snapshots(storm: Storm) -> None:
    """Cut some snapshots short and flip a byte in others."""
    damaged = 0
    for folder in _caches(storm, "snapshots"):
        for path in sorted(folder.rglob("*.snapshot")):
            try:
                content = bytearray(path.read_bytes())
                place = storm.chance.randrange(len(content))
                if storm.chance.random() < 0.5:
                    del content[place:]
                else:
                    content[place] ^= 0xFF
                path.write_bytes(content)
            except FileNotFoundError:
                continue
            damaged += 1
    storm.tell(f"damaged {damaged} snapshots")


def _open_account(storm: Storm) -> None:
    """Open one more account, whose usage follows at once."""
    account_id = f"newcomer-{len(storm.feeder.accounts)}"
    patiently(lambda: storm.deployment.open_accounts("plan", [account_id]))
    storm.feeder.accounts.append(account_id)
    storm.tell(f"opened {account_id}")


ACTIONS: Mapping[str, Callable[[Storm], None]] = {
    "kill a worker": _kill_worker,
    "stop a worker": _stop_worker,
    "add a worker": _add_worker,
    "remove a worker": _remove_worker,
    "freeze a worker": _freeze_worker,
    "kill the broker": _kill_broker,
    "restart the broker": _restart_broker,
    "delete snapshots": _delete_snapshots,
    "delete identities": _delete_identities,
    "damage snapshots": _damage_snapshots,
    "open an account": _open_account,
}
