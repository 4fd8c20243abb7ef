"""The token bucket: the rate holds on the average, whatever the size of requests."""

from hypothesis import given
from hypothesis import strategies as st

from engine.http.rate import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_a_burst_in_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 20, clock)
    bucket.take(20)
    assert bucket.wait_seconds() == 0.1
    clock.now += 0.1
    assert bucket.wait_seconds() == 0.0


def test_a_large_request_leaves_a_debt() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 20, clock)
    bucket.take(119)
    assert bucket.wait_seconds() == 10.0


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 5)), max_size=60))
def test_no_more_passes_than_burst_rate_and_one_request(steps: list[tuple[int, float]]) -> None:
    clock = Clock()
    bucket = TokenBucket(10, 20, clock)
    passed = 0
    for size, pause in steps:
        if bucket.wait_seconds() == 0:
            bucket.take(size)
            passed += size
        clock.now += pause
    assert passed <= 20 + 10 * clock.now + 500
