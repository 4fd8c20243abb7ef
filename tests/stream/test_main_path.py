"""The main path on a real Kafka: usage in, charges out, balances rebuilt by replay."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.adapters.avro.usage import Fields, encode_usage
from engine.adapters.documents.usage import usage_json
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.price_list import import_price_list
from engine.entrypoints.cli.main import app
from engine.entrypoints.offline import OfflineRating
from engine.rating.charge import Charge
from engine.rating.event import VersionAdopted, VersionStaged
from engine.rating.exchange import exchange_rate
from engine.rating.money import format_pico, parse_decimal
from engine.rating.tariff import TariffVersion
from tests.data.traces import AZURE_CODE, FOLDER, azure_code_rows, mooncake_rows
from tests.rating.scenario import at, tariff
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

RUNS = json.loads((FOLDER / "traces" / "expected_totals.json").read_text())
ACCOUNTS = [f"tenant-{number}" for number in range(10)]

pytestmark = pytest.mark.kafka


@dataclass
class Priced:
    """A trace and the list prices it is rated with."""

    events: list[Fields]
    version: TariffVersion


def priced(run: dict[str, Any]) -> Priced:
    """Return a run of the expected totals as usage events and a tariff version."""
    rows = azure_code_rows() if run["trace"] == AZURE_CODE else mooncake_rows()
    events = [
        usage(
            f"{run['trace']}/{row.row}",
            ACCOUNTS[row.row % len(ACCOUNTS)],
            provider=run["provider"],
            model=run["model"],
            occurred_at=row.occurred_at,
            quantities={
                "input": row.input - row.cached,
                "cache_read": row.cached,
                "output": row.output,
            },
        )
        for row in rows
    ]
    imported = import_price_list(
        (FOLDER / "model_prices.json").read_text(),
        tariff_id="list",
        version=1,
        effective_from=datetime(2023, 1, 1, tzinfo=UTC),
        models=(run["model"],),
    )
    return Priced(events, imported.version)


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    yield deployment
    deployment.close()


@pytest.mark.parametrize(
    "run", RUNS, ids=lambda run: f"{run['trace'].split('_')[0]}-{run['model']}"
)
def test_a_real_trace_costs_what_others_computed_through_kafka_and_by_replay(
    run: dict[str, Any], deployment: Deployment
) -> None:
    trace = priced(run)
    deployment.publish_tariff(trace.version)
    deployment.open_accounts("list", ACCOUNTS)
    deployment.send_usage(trace.events)
    counts = deployment.rate_all(run["requests"])
    assert counts.charges == run["requests"]
    expected = parse_decimal(run["genai_prices_0.2.3"]["total"])
    charges = deployment.charges()
    assert parse_decimal(format_pico(sum(charge.amount for charge in charges))) == expected
    replayed = deployment.replayed_balances()
    assert parse_decimal(format_pico(sum(balance.due for balance in replayed))) == expected


def test_live_balances_are_those_of_the_replay(deployment: Deployment) -> None:
    trace = priced(RUNS[0])
    deployment.publish_tariff(trace.version)
    deployment.open_accounts("list", ACCOUNTS)
    deployment.send_usage(trace.events[:1000] + trace.events[:50])
    counts = deployment.rate_all(1050)
    assert (counts.charges, counts.duplicates) == (1000, 50)
    deployment.project_all()
    assert deployment.live_balances() == deployment.replayed_balances()
    assert sorted(deployment.records("charges"), key=repr) == sorted(deployment.charges(), key=repr)


def supplier_of(provider: str) -> TariffVersion:
    """Return what a provider takes, in euros."""
    return tariff(
        f"""
        tariff_id: supplier
        version: 1
        effective_from: 2023-01-01T00:00:00Z
        currency: EUR
        supplier_for: [{provider}]
        components:
          - {{id: tokens, kinds: ["*"], price: {{model: unit, unit_price: "1.1", per: 1000003}}}}
        """
    )


def exchange_rates(deployment: Deployment, *command: str) -> list[dict[str, Any]]:
    """Run `tollbook exchange-rate`; return its rows."""
    settings = deployment.settings
    environment = {"TOLLBOOK_BOOTSTRAP": settings.bootstrap, "TOLLBOOK_PREFIX": settings.prefix}
    ran = CliRunner(env=environment).invoke(app, ["exchange-rate", *command, "--json"])
    assert ran.exit_code == 0, ran.output
    return [json.loads(line) for line in ran.stdout.splitlines()]


EURO = ("EUR", "USD", "1.0834", "--from", "2023-01-01T00:00:00Z")


def test_offline_rating_gives_the_charges_that_kafka_gives(deployment: Deployment) -> None:
    """Cost and margin too, by a rate that was published on the command line."""
    trace, supplier = priced(RUNS[0]), supplier_of(RUNS[0]["provider"])
    events = trace.events[:500]
    deployment.publish_tariff(trace.version, supplier)
    for state in ("published", "was published before"):
        (row,) = exchange_rates(deployment, "publish", *EURO, "--source", "ECB")
        assert (row["rate"], row["state"]) == ("1.0834", state)
    (listed,) = exchange_rates(deployment, "list")
    assert (listed["base"], listed["quote"], listed["source"]) == ("EUR", "USD", "ECB")
    deployment.open_accounts("list", ACCOUNTS)
    deployment.send_usage(events)
    deployment.rate_all(500)
    rate = exchange_rate("EUR", "USD", "1.0834", at("2023-01-01T00:00:00Z"))
    rating = OfflineRating([trace.version, supplier], None, frozenset(), [rate])
    outcomes = [rating.rate(usage_json(fields), line) for line, fields in enumerate(events)]
    offline = [charge for (charge,) in outcomes]
    through_kafka = {charge.charge_id: charge for charge in deployment.charges()}
    assert len(through_kafka) == 500
    for charge in offline:
        assert isinstance(charge, Charge)
        other = through_kafka[charge.charge_id]
        # Event and tariff stand elsewhere, and it was received at another time; all else is the same.
        assert charge == other._replace(
            position=charge.position,
            received_at=charge.received_at,
            tariff=charge.tariff,
            supplier=charge.supplier,
        )
        assert charge.tariff is not None
        assert other.tariff == charge.tariff._replace(offset=2)
        assert charge.supplier is not None
        assert charge.margin is not None
        assert other.supplier == charge.supplier._replace(
            tariff=charge.supplier.tariff._replace(offset=3), rate_offset=listed["offset"]
        )


def test_a_batch_and_single_events_cost_the_same(deployment: Deployment) -> None:
    version = flat("1", per=3)
    deployment.publish_tariff(version)
    deployment.open_accounts(version.tariff_id, ["batched", "single"])
    kinds = [{"input": number, "output": 1} for number in range(1, 40)]
    deployment.send_usage(usage(f"b{n}", "batched", quantities=q) for n, q in enumerate(kinds))
    home = partition_of("single", PARTITIONS)
    records = [
        encode_usage(usage(f"s{number}", "single", quantities=quantities))
        for number, quantities in enumerate(kinds)
    ]
    deployment.send_raw("usage", home, records)
    deployment.rate_all(2 * len(kinds))
    by_account = {
        account_id: [
            [(line.kind, line.amount, line.before) for line in charge.lines]
            for charge in deployment.charges()
            if charge.account_id == account_id
        ]
        for account_id in ("batched", "single")
    }
    assert by_account["batched"] == by_account["single"]


def test_a_command_acknowledged_before_usage_is_decided_first(deployment: Deployment) -> None:
    version = flat("2")
    with deployment.worker() as worker:
        for _ in range(20):  # the worker is up and idle before anything is there
            worker.turn()
        deployment.publish_tariff(version)
        deployment.open_accounts(version.tariff_id, ["acme"])
        deployment.send_usage([usage("e1", quantities={"input": 3})])
        deployment.work_until(worker, 1)
    (charge,) = deployment.charges()
    assert format_pico(charge.amount) == "6"


def test_a_version_published_later_is_adopted_or_staged_by_what_was_charged(
    deployment: Deployment,
) -> None:
    first = flat("1")
    second = flat("2", version=2, since="2026-11-20T00:00:00Z")
    deployment.publish_tariff(first)
    deployment.open_accounts(first.tariff_id, ["early", "late"])
    with deployment.worker() as worker:
        deployment.send_usage([usage("e1", "early", "2026-11-10T00:00:00Z")])
        deployment.send_usage([usage("l1", "late", "2026-11-21T00:00:00Z")])
        deployment.work_until(worker, 2)
        deployment.publish_tariff(second)
        deployment.send_usage([usage("e2", "early", "2026-11-21T00:00:00Z")])
        deployment.send_usage([usage("l2", "late", "2026-11-21T00:00:00Z")])
        deployment.work_until(worker, 4)
    changes = {event.account_id: event.change for event in deployment.account_events()}
    assert isinstance(changes["early"], VersionAdopted)
    assert isinstance(changes["late"], VersionStaged)
    amounts = {charge.event_id: format_pico(charge.amount) for charge in deployment.charges()}
    assert amounts == {"e1": "1", "l1": "1", "e2": "2", "l2": "1"}
