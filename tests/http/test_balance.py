"""What a gateway is told of an account before a call."""

import time
from typing import Any

from engine.http.balances import answer
from engine.rating.balance import Balance, BucketState, LimitState
from engine.rating.money import PICO
from tests.http.calls import NOW, Server, problem_of
from tests.rating.scenario import at

HOUR = 3_600 * 1_000_000


def bucket(remaining: int, valid_to: int | None = None) -> BucketState:
    units = remaining * PICO
    return BucketState(
        "gift", "gift", "tokens", at("2026-11-01T00:00:00Z"), valid_to,
        100 * PICO, units, 100 * PICO - units, 0, 0, 0, "open", 0, None,
    )  # fmt: skip


def limit(scope: str, subject: str, resets_at: int) -> LimitState:
    return LimitState(
        "daily", "tokens", scope, subject, "2026-11-24", 12 * PICO, 10 * PICO, True, resets_at
    )


def balance(account_id: str = "acme", **fields: Any) -> Balance:
    known = Balance(account_id, 7, "USD", "UTC", "plan", 1_250_000_000_000, (), 3, 0, NOW - HOUR)
    return known._replace(**fields)


def test_the_newest_balance_is_told_with_its_age() -> None:
    server = Server()
    server.project(balance(due=0))
    server.project(balance(buckets=(bucket(60),)))
    response = server.balance("acme")
    assert response.status_code == 200
    told = response.json()
    assert (told["due"], told["as_of"]) == ("1.25", "2026-11-24T11:00:00.000000Z")
    assert 0 <= told["age_seconds"] < 10
    assert [(row["bucket_id"], row["remaining"]) for row in told["buckets"]] == [("gift", "60")]
    assert [told[name] for name in ("exhausted", "limited", "limited_subjects")] == [
        False,
        False,
        [],
    ]


def test_a_reached_limit_stands_until_its_period_has_passed() -> None:
    server = Server()
    server.project(
        balance(
            limits=(limit("account", "", NOW + HOUR), limit("subject", "ann", NOW + HOUR)),
            limited=True,
            limited_subjects=("ann",),
        )
    )
    told = server.balance("acme").json()
    assert (told["limited"], told["limited_subjects"]) == (True, ["ann"])
    server.project(
        balance(
            limits=(limit("account", "", NOW), limit("subject", "ann", NOW)),
            limited=True,
            limited_subjects=("ann",),
        )
    )
    told = server.balance("acme").json()
    assert (told["limited"], told["limited_subjects"]) == (False, [])
    assert [(row["used"], row["reached"]) for row in told["limits"]] == [("0", False)] * 2


def test_an_account_is_exhausted_once_its_last_bucket_with_something_in_it_has_ended() -> None:
    server = Server()
    server.project(balance(buckets=(bucket(60, NOW + HOUR), bucket(0))))
    assert server.balance("acme").json()["exhausted"] is False
    server.project(balance(buckets=(bucket(60, NOW), bucket(0))))
    assert server.balance("acme").json()["exhausted"] is True
    server.project(balance(buckets=(bucket(0),), exhausted=True))
    assert server.balance("acme").json()["exhausted"] is True


def test_another_tenants_balance_is_forbidden_whether_it_exists_or_not() -> None:
    server = Server()
    server.project(balance("globex"))
    assert problem_of(server.balance("globex")) == (403, "account_not_of_key")
    assert problem_of(server.balance("initech")) == (403, "account_not_of_key")


def test_an_account_without_a_balance_is_unknown() -> None:
    server = Server()
    server.book.refresh()
    assert problem_of(server.balance("acme")) == (404, "account_unknown")


def test_an_account_may_have_a_slash_in_its_id() -> None:
    server = Server()
    server.project(balance("acme-/berlin"))
    assert server.balance("acme-%2Fberlin").json()["account_id"] == "acme-/berlin"
    assert problem_of(server.balance("..%2Facme")) == (403, "account_not_of_key")


def test_before_all_is_read_nothing_is_told() -> None:
    assert problem_of(Server().balance("acme")) == (503, "balances_not_read")


def test_a_balance_is_read_back_after_its_topic_was_made_anew() -> None:
    server = Server()
    server.project(balance())
    server.project(balance())
    for entries in server.cluster._logs.values():  # noqa: SLF001 - what `project --rebuild` does
        entries.clear()
    server.book.refresh()
    assert problem_of(server.balance("acme")) == (404, "account_unknown")
    server.project(balance(due=PICO))
    assert server.balance("acme").json()["due"] == "1"


def test_a_balance_with_a_hundred_limits_is_told_within_five_milliseconds() -> None:
    server = Server()
    many = tuple(limit("subject", f"login-{n}", NOW + HOUR) for n in range(100))
    server.project(balance(limits=many, buckets=(bucket(60),) * 10))
    kept = server.book.find("acme")
    assert kept is not None
    times = []
    for _ in range(20):
        began_at = time.perf_counter()
        assert answer(kept, 0.0, NOW)
        times.append(time.perf_counter() - began_at)
    assert sorted(times)[len(times) // 2] < 0.005


def test_health_is_told_to_anyone() -> None:
    server = Server()
    assert server.client.get("/health", headers={"authorization": ""}).json() == {
        "status": "starting"
    }
    server.telemetry.complete()
    assert server.client.get("/health").json() == {"status": "ok"}
    server.telemetry.unavailable(True)
    assert problem_of(server.client.get("/health")) == (503, "unhealthy")
