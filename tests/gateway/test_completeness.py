"""Completeness: gaps in a publisher's numbers, whatever the order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

from engine.gateway.completeness import Arrivals, Completeness, Gap


def judged(sequences: list[int]) -> Completeness:
    arrivals = Arrivals()
    for sequence in sequences:
        arrivals.add(sequence)
    return arrivals.judge("edge")


def test_numbers_without_a_gap_are_complete_in_any_order() -> None:
    assert judged([3, 1, 2, 4]) == Completeness("edge", 4, 4, 0, 0, ())


def test_a_missing_number_is_a_gap_and_a_repeated_one_a_duplicate() -> None:
    assert judged([2, 3, 3, 7]) == Completeness("edge", 3, 7, 1, 4, (Gap(1, 1), Gap(4, 6)))


def test_nothing_seen_is_nothing_missing() -> None:
    assert judged([]) == Completeness("edge", 0, 0, 0, 0, ())


def test_a_number_beyond_reason_takes_no_memory() -> None:
    assert judged([1, 2**62]).gaps == (Gap(2, 2**62 - 1),)


@given(st.lists(st.integers(1, 20_000)))
def test_what_is_there_and_what_is_missing_make_up_the_whole(sequences: list[int]) -> None:
    found = judged(sequences)
    assert found.events + found.missing == found.last_sequence == max(sequences, default=0)
    assert found.events + found.duplicates == len(sequences)
    missing = {n for first, last in found.gaps for n in range(first, last + 1)}
    assert missing == set(range(1, found.last_sequence + 1)) - set(sequences)
