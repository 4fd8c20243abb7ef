"""A spool through any life: filled, read, killed, robbed of its power; against what was promised."""

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.gateway.errors import SpoolFull
from engine.gateway.spool import Spool, Window
from tests.gateway.disk import PAGE_BYTES, ForgetfulDisk
from tests.gateway.test_spool import abandon

SEGMENT_BYTES = 3 * PAGE_BYTES
SEGMENTS = 6
Step = tuple[Any, ...]


class SpoolLife(RuleBasedStateMachine):
    """A spool, and beside it what `append` promised, what was read, and what Kafka acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="tollbook-spool-"))
        self.patch = pytest.MonkeyPatch()
        self.disk = ForgetfulDisk(self.root / "spool", self.root / "kept", self.patch)
        self.promised: dict[int, bytes] = {}
        self.sent: dict[int, bytes] = {}
        self.arrived: set[int] = set()
        self.may_be_lost: set[int] = set()
        self.events = 0
        self.open()

    def open(self) -> None:
        """Begin a life."""
        limit = SEGMENTS * SEGMENT_BYTES
        self.spool = Spool(
            self.disk.folder, "gateway", max_bytes=limit, segment_bytes=SEGMENT_BYTES
        )
        self.disk.note()

    @rule(size=st.sampled_from([1, 150, 700, 3_000, 6_000]), number=st.integers(1, 12))
    def publish(self, size: int, number: int) -> None:
        for _ in range(number):
            self.events += 1
            event = f"{self.events}:".encode().ljust(size, b"x")
            try:
                sequence = self.spool.append(7, event)
            except SpoolFull:
                return
            assert sequence == max(self.promised, default=0) + 1
            self.promised[sequence] = event
            self.disk.note()

    @rule()
    def sync(self) -> None:
        self.spool.prepare()
        self.spool.sync()

    @rule(most_bytes=st.integers(1, 20_000))
    def send_without_an_answer(self, most_bytes: int) -> None:
        self._send(most_bytes)

    @rule(windows=st.integers(1, 6), most_bytes=st.integers(1, 20_000))
    def deliver(self, windows: int, most_bytes: int) -> None:
        for _ in range(windows):
            if window := self._send(most_bytes):
                self.spool.acknowledge(window)
                self.arrived |= {each.sequence for each in window.events}
                self.disk.note()

    def _send(self, most_bytes: int) -> Window | None:
        window = self.spool.read(most_bytes)
        for sequence, account_hash, event in window.events if window else ():
            assert account_hash == 7
            assert sequence <= self.spool.synced
            assert event.startswith(self.promised[sequence])
            self.sent[sequence] = self.promised[sequence]
        return window

    @rule(is_killed=st.booleans())
    def restart(self, is_killed: bool) -> None:
        if is_killed:
            abandon(self.spool)
        else:
            self.spool.close()
        self.open()
        assert self.spool.last_sequence == max(self.promised, default=0)

    @rule(seed=st.integers(0, 2**32))
    def cut_power(self, seed: int) -> None:
        synced = self.spool.synced
        abandon(self.spool)
        self.disk.cut_power(random.Random(seed))  # noqa: S311 - a repeatable test, no secret
        self.open()
        kept = self.spool.last_sequence
        assert kept >= synced
        self.promised = {n: event for n, event in self.promised.items() if n <= kept}
        self.may_be_lost |= {number for number in self.promised if number > synced}

    @invariant()
    def what_was_sent_keeps_its_number(self) -> None:
        assert all(self.promised.get(number) == event for number, event in self.sent.items())

    def teardown(self) -> None:
        try:
            self.spool.sync()
            self.deliver(1_000, 20_000)
            assert self.promised.keys() - self.arrived <= self.may_be_lost
            assert self.spool.acknowledged == self.spool.last_sequence
            self.spool.close()
        finally:
            self.patch.undo()
            shutil.rmtree(self.root)


TestSpoolLife = SpoolLife.TestCase
TestSpoolLife.settings = settings(max_examples=250, stateful_step_count=30)


LIVES: list[list[Step]] = [
    [(SpoolLife.publish, 3_000, 1), (SpoolLife.sync,)],
    [(SpoolLife.publish, 6_000, 3), (SpoolLife.restart, True)],
    [(SpoolLife.publish, 6_000, 3), (SpoolLife.deliver, 6, 1)],
    [(SpoolLife.publish, 3_000, 9), (SpoolLife.sync,), (SpoolLife.deliver, 2, 1)] * 3,
]
"""Short ones in which a spool once lost what it had promised, or waited for what was lost."""


@pytest.mark.parametrize("steps", LIVES)
def test_a_power_cut_after_a_short_life(steps: list[Step]) -> None:
    for seed in range(30):
        life = SpoolLife()
        for step, *drawn in steps:
            step(life, *drawn)
        life.cut_power(seed)
        life.publish(700, 2)
        life.teardown()
