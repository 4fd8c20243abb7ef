"""Grants, wallets and balances of OpenMeter, Lago, Flexprice, CGRateS and Autumn, as grants here."""

from typing import Any

import pytest

from tests.vectors.prepaid_records import PREPAID_REASONS, TRANSLATORS, reason, translator
from tests.vectors.records import Record, all_records, cases, records
from tests.vectors.shapes import UnknownShape, compare

PREPAID = records(*TRANSLATORS)
RATED_ELSEWHERE = frozenset(
    "dated_tariff incremental_pricing llm_oracle llm_pricing max_spend_discount multi_unit_pricing "
    "package_count pricing rerate_sequence single_tier tier_lookup time_window "
    "unit_conversion".split()
)
"""Kinds that the other tests of this package run."""


@pytest.mark.parametrize("record", cases(PREPAID))
def test_balances_are_what_the_other_system_says(record: Record) -> None:
    check(record)


def check(record: Record) -> None:
    why = reason(record)
    if why:  # it means something else here: docs/reference/other-systems.md has each reason
        pytest.skip(why)
    compare(record, translator(record).run(record))


def compared(case: tuple[dict[str, Any], dict[str, Any]], kind: str, system: str) -> None:
    fields, expected = case
    record = {"kind": kind, "source": f"{system}@0", **fields, "expected": expected}
    assert not reason(record)
    check(record)


@pytest.mark.parametrize("record", cases(PREPAID))
def test_whether_a_record_is_compared_depends_on_what_goes_in_alone(record: Record) -> None:
    blank = {**record, "expected": {"error": "anything"}, "note": "anything"}
    assert reason(blank) == reason(record)


def test_every_kind_of_record_is_run_by_some_test() -> None:
    assert kinds_not_run(list(all_records())) == set()


def test_a_kind_that_nobody_runs_is_found() -> None:
    assert kinds_not_run([{"kind": "loyalty_points"}]) == {"loyalty_points"}


def kinds_not_run(found: list[Record]) -> set[str]:
    return {record["kind"] for record in found} - TRANSLATORS.keys() - RATED_ELSEWHERE


def only_one(kind: str) -> dict[str, Any]:
    return dict(next(record for record in PREPAID if record["kind"] == kind and not reason(record)))


@pytest.mark.parametrize("kind", sorted({record["kind"] for record in PREPAID}))
def test_a_record_with_a_field_that_nobody_reads_fails(kind: str) -> None:
    with pytest.raises(UnknownShape):
        check({**only_one(kind), "loyalty": "gold"})


@pytest.mark.parametrize("kind", sorted({record["kind"] for record in PREPAID}))
def test_a_record_of_which_nothing_would_be_compared_fails(kind: str) -> None:
    with pytest.raises(UnknownShape):
        check({**only_one(kind), "expected": {"mood": "good"}})


@pytest.mark.parametrize("kind", sorted({record["kind"] for record in PREPAID}))
def test_a_wrong_expectation_fails(kind: str) -> None:
    """Every number that is compared matters: raised by one, the record fails."""
    record = only_one(kind)
    for name in record["expected"]:
        wrong = {**record["expected"], name: raised(record["expected"][name])}
        if wrong[name] != record["expected"][name]:
            with pytest.raises(AssertionError):
                check({**record, "expected": wrong})


def raised(value: Any) -> Any:
    """Return an expectation with every number raised by one."""
    if isinstance(value, dict):
        return {name: raised(part) for name, part in value.items()}
    if isinstance(value, list):
        return [raised(part) for part in value]
    is_number = value.removeprefix("-").replace(".", "", 1).isdigit()
    return str(float(value) + 1) if is_number else value


def test_there_are_reasons_and_each_is_documented() -> None:
    assert {reason(record) for record in PREPAID} - {""} <= PREPAID_REASONS
