"""A month of an enterprise, checked step by step and line by line against a second calculation."""

from fractions import Fraction
from functools import cache

from engine.entrypoints.story import opening_orders, sent, story_tariff
from engine.entrypoints.story_data import ACCOUNT, PERIOD, Tick, requests, story
from engine.rating.charge import SETTLEMENT
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.event import AlertRaised, PeriodClosed, UsageRefused, VoidPending
from replay.statement import Covered, Priced, Statement, statement
from tests.data.traces import mooncake_rows
from tests.story.deploying import Deployment
from tests.story.recomputation import Month
from tests.story.recomputed_alerts import DAY, SHANGHAI, Raised
from tests.story.telling import Telling, charges, events, exact


@cache
def told() -> tuple[Telling, Month]:
    """Return the story told to the engine and to the second calculation, which agree at each step."""
    telling, month = Telling(), Month()
    for number, step in enumerate(story()):
        telling.take(step)
        month.take(step)
        assert exact(telling.account.due) == month.due, f"step {number}: {step}"
        assert buckets_of(telling) == recomputed_buckets(month), f"step {number}: {step}"
    return telling, month


@cache
def printed() -> Statement:
    """Return the statement of the month."""
    return statement(told()[0].records, PERIOD)


def buckets_of(telling: Telling) -> dict[str, tuple[Fraction | bool, ...]]:
    return {
        name: (
            *map(exact, (b.granted, b.remaining, b.drawn, b.expired, b.rolled)),
            not b.is_closed,
        )
        for name, b in telling.account.prepaid.buckets.items()
    }


def recomputed_buckets(month: Month) -> dict[str, tuple[Fraction | bool, ...]]:
    return {
        name: (b.granted, b.remaining, b.drawn, b.expired, b.rolled, b.is_open)
        for name, b in month.buckets.items()
    }


def test_the_usage_is_the_whole_trace_with_what_a_cache_would_have_held() -> None:
    rows = [
        (row.input - row.cached, row.cached, row.output, row.occurred_at) for row in mooncake_rows()
    ]
    uses = list(requests())
    dealt = [dict(use.quantities) for use in uses]
    kinds = ("input", "cache_read", "output")
    assert [tuple(q.get(kind, 0) for kind in kinds) for q in dealt] == [row[:3] for row in rows]
    since = [(use.at - uses[0].at) // 2_620 for use in uses]
    assert since == [row[3] - rows[0][3] for row in rows]
    assert len({use.subject for use in uses}) == 40


def test_due_and_buckets_agree_after_every_step() -> None:
    telling, month = told()
    assert exact(telling.account.due) == month.due


def test_every_warning_is_raised_when_it_must_be_and_no_other() -> None:
    telling, month = told()
    raised = [e.change for e in events(telling.records) if isinstance(e.change, AlertRaised)]
    assert [warning_of(alert) for alert in raised] == month.watch.warnings


def warning_of(alert: AlertRaised) -> Raised:
    """Return an alert in the words of the second calculation."""
    parts = alert.key.split("/")
    if parts[0] == "limit":
        day = (alert.occurred_at + SHANGHAI) // DAY
        return Raised(alert.code, parts[1], f"{day}/{parts[-1]}", alert.occurred_at)
    name = parts[1] if len(parts) > 1 else ""
    level = parts[3] if len(parts) > 1 else ""
    return Raised(alert.code, name, level, alert.occurred_at)


def test_the_story_has_all_that_it_is_told_for() -> None:
    telling, _ = told()
    alerts = {e.change.code for e in events(telling.records) if isinstance(e.change, AlertRaised)}
    assert alerts == {
        "bucket_used",
        "run_out_ahead",
        "expiry_ahead",
        "exhausted",
        "limit_ahead",
        "limit_reached",
    }
    changes = [type(event.change) for event in events(telling.records)]
    for change in (VoidPending, UsageRefused, PeriodClosed):
        assert changes.count(change) == 1
    settled = [c.amount for c in charges(telling.records) if c.kind == SETTLEMENT]
    assert settled[0] > 0
    assert settled[1] < 0
    buckets = {bucket.bucket: bucket for bucket in printed().buckets}
    assert buckets["welcome"].drawn
    assert buckets["welcome"].expired
    assert buckets["team#0"].rolled
    (wallet,) = printed().paid
    assert wallet.amount
    assert wallet.credited
    assert printed().credit_used
    assert printed().due > 0


def test_the_statement_is_the_second_calculation_line_by_line() -> None:
    _, month = told()
    found = printed()
    assert (found.period, found.is_closed) == (PERIOD, True)
    assert (found.events, found.voids) == (month.events, month.voids)
    assert covered(found.covered) == month.covered
    assert covered(found.returned) == month.returned
    assert priced(found.priced) == month.priced
    assert priced(found.voided) == month.voided
    assert [(row.name, exact(row.amount)) for row in found.settlements] == [
        ("output", month.settled)
    ]
    assert [(row.name, exact(row.amount)) for row in found.adjustments] == month.adjustments
    assert exact(found.amount) == month.amount
    paid = {row.bucket: (exact(row.amount), exact(row.credited)) for row in found.paid}
    assert paid == {name: (month.paid[name], month.credited[name]) for name in month.paid}
    assert exact(found.credit_used) == month.credit_used
    assert exact(found.due) == month.due == exact(found.due_change)
    assert not found.suspended


def covered(rows: tuple[Covered, ...]) -> dict[tuple[str, str], tuple[int, Fraction]]:
    return {(row.bucket, row.kind): (row.quantity, exact(row.units)) for row in rows}


def priced(rows: tuple[Priced, ...]) -> dict[str, tuple[int, Fraction]]:
    return {row.kind: (row.quantity, exact(row.amount)) for row in rows}


def test_the_statement_adds_up() -> None:
    assert printed().problems == ()


def test_a_statement_that_does_not_add_up_says_so() -> None:
    assert printed()._replace(amount=1).problems
    assert printed()._replace(due_change=1).problems
    assert printed()._replace(due=1).problems


def test_a_bucket_that_does_not_add_up_is_named() -> None:
    first, *rest = printed().buckets
    broken = printed()._replace(buckets=(first._replace(drawn=first.drawn + 1), *rest))
    assert broken.problems == (f"bucket {first.bucket} does not add up",)


def test_the_statement_before_late_usage_is_the_same_fold_over_fewer_records() -> None:
    telling, _ = told()
    closed = next(
        number
        for number, record in enumerate(telling.records)
        if isinstance(getattr(record, "change", None), PeriodClosed)
    )
    early = statement(telling.records[: closed + 2], PERIOD)
    assert early.problems == ()
    assert early.events < printed().events
    assert [row.amount for row in early.settlements] != [r.amount for r in printed().settlements]


def test_time_that_passes_twice_changes_nothing() -> None:
    once, twice = Telling(), Telling()
    for step in story()[:1500]:
        once.take(step)
        twice.take(step)
        if isinstance(step, Tick):
            assert twice.take(step) == []
    assert buckets_of(once) == buckets_of(twice)


def test_a_worker_tells_the_same_story_and_every_record_of_it_verifies() -> None:
    telling, _ = told()
    deployment = Deployment(story_tariff(), ACCOUNT)
    for command in opening_orders():
        deployment.command(command)
    for step in story():
        asked = sent(step)
        if isinstance(asked, AccountCommand | AdvanceTo):
            deployment.work()
            if isinstance(asked, AccountCommand):
                deployment.command(asked)
            else:
                deployment.advance(asked.until)
        else:
            deployment.report(asked)
    deployment.work()
    found = deployment.proved(PERIOD)
    assert found._replace(sequence=0) == printed()._replace(sequence=0)
    assert deployment.account.prepaid.buckets == telling.account.prepaid.buckets
