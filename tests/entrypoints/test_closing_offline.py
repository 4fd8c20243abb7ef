"""Offline rating closes months as the command would: from when a tariff is owed, account by account."""

from collections.abc import Sequence
from typing import Any

from engine.adapters.documents.accounts import parse_accounts
from engine.entrypoints.offline import OfflineRating
from engine.rating.charge import SETTLEMENT, Charge
from engine.rating.event import AccountEvent, PeriodClosed
from engine.rating.ledger import Decided
from engine.rating.money import format_pico
from tests.rating.scenario import ONE_DOLLAR_EACH, at, tariff

MINIMUM = tariff(
    ONE_DOLLAR_EACH.replace("period: calendar_month", 'period: calendar_month, minimum: "50"')
)


def account(account_id: str, since: str | None = None, zone: str = "UTC") -> dict[str, Any]:
    assignment = {"tariff_id": "plan"} | ({} if since is None else {"effective_from": since})
    return {
        "account_id": account_id,
        "currency": "USD",
        "time_zone": zone,
        "tariffs": [assignment],
    }


def rating(*accounts: dict[str, Any]) -> OfflineRating:
    orders = parse_accounts(list(accounts), "accounts") if accounts else None
    return OfflineRating([MINIMUM], orders, frozenset())


def use(found: OfflineRating, line: int, occurred_at: str, quantity: int, who: str) -> None:
    data = {
        "account_id": who,
        "source": "gateway-1",
        "event_id": f"e{line}",
        "occurred_at": occurred_at,
        "provider": "openai",
        "model": "gpt-4o",
        "quantities": {"input": quantity},
    }
    (charge,) = found.rate(data, line)
    assert isinstance(charge, Charge)


def shown(records: Sequence[Decided]) -> list[tuple[str, str, str]]:
    """Return what was settled; nothing else happens but that months are closed."""
    charges = [record for record in records if isinstance(record, Charge)]
    closed = [r.change for r in records if isinstance(r, AccountEvent)]
    assert all(isinstance(change, PeriodClosed) for change in closed)
    assert all(charge.kind == SETTLEMENT for charge in charges)
    return [(c.account_id, c.service_period, format_pico(c.amount)) for c in charges]


def test_every_month_that_is_over_is_closed_by_account_and_month() -> None:
    found = rating(
        account("globex", "2026-10-15T00:00:00Z"), account("acme", "2026-09-01T00:00:00Z")
    )
    use(found, 0, "2026-10-02T00:00:00Z", 20, "acme")
    use(found, 1, "2026-12-02T00:00:00Z", 1, "acme")
    assert shown(found.advance(at("2026-12-01T00:00:00Z"))) == [
        ("acme", "2026-09", "50"),
        ("acme", "2026-10", "30"),
        ("acme", "2026-11", "50"),
        ("globex", "2026-10", "50"),
        ("globex", "2026-11", "50"),
    ]
    assert [found.ledger.account(name).due // 10**12 for name in ("acme", "globex")] == [151, 100]


def test_an_assignment_without_a_beginning_owes_from_the_first_usage_on() -> None:
    found = rating()
    use(found, 0, "2026-11-02T00:00:00Z", 20, "acme")
    use(found, 1, "2026-10-02T00:00:00Z", 60, "acme")
    assert shown(found.advance(at("2026-12-31T00:00:00Z"))) == [("acme", "2026-11", "30")]


def test_an_account_without_beginning_and_usage_owes_nothing() -> None:
    assert rating(account("acme")).advance(at("2026-12-31T00:00:00Z")) == []


def test_a_month_is_over_when_it_is_in_the_account_s_zone() -> None:
    found = rating(
        account("berlin", "2026-11-01T00:00:00+01:00", "Europe/Berlin"),
        account("utc", "2026-11-01T00:00:00Z"),
    )
    assert shown(found.advance(at("2026-11-30T23:00:00Z"))) == [("berlin", "2026-11", "50")]
    assert shown(found.advance(at("2026-12-01T00:00:00Z"))) == [("utc", "2026-11", "50")]
