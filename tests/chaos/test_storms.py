"""Storms on a broker of their own: whatever happens, each accepted event is charged exactly once."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos.processes import DYING_BROKER
from tests.chaos.storm import ACTIONS, Storm

pytestmark = [pytest.mark.kafka, *DYING_BROKER]

_SHORT: list[Mapping[str, int]] = [
    {
        "kill a worker": 4,
        "kill the broker": 1,
        "delete snapshots": 1,
        "open an account": 1,
    },
    {
        "kill a worker": 2,
        "freeze a worker": 1,
        "stop a worker": 1,
        "add a worker": 1,
        "delete identities": 1,
        "damage snapshots": 1,
        "remove a worker": 1,
        "restart the broker": 1,
    },
]
_LONG: Mapping[str, int] = {
    "kill a worker": 10,
    "stop a worker": 2,
    "add a worker": 3,
    "remove a worker": 2,
    "freeze a worker": 2,
    "kill the broker": 2,
    "restart the broker": 1,
    "delete snapshots": 1,
    "delete identities": 1,
    "damage snapshots": 1,
    "open an account": 2,
}


def weather(folder: Path, seed: int, plan: Mapping[str, int]) -> None:
    """Go through one storm."""
    storm = Storm(folder, seed)
    try:
        storm.run(plan)
    finally:
        storm.close()


def test_short_storms_have_every_kind_of_action() -> None:
    assert {name for plan in _SHORT for name in plan} == set(ACTIONS) == set(_LONG)


@pytest.mark.parametrize("seed", range(len(_SHORT)))
def test_a_short_storm_charges_every_event_once(seed: int, tmp_path: Path) -> None:
    weather(tmp_path, seed, _SHORT[seed])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 121))
def test_a_long_storm_charges_every_event_once(seed: int, tmp_path: Path) -> None:
    """Together more than 200 kills of workers, 40 of the broker, 40 frozen workers."""
    weather(tmp_path, seed, _LONG)
