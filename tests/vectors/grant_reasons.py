"""Why records of grants mean something else here: decided by what goes in, never by what comes out."""

from collections.abc import Callable, Mapping

from tests.vectors.burn_down import BurnDown, Period, begins_for, read_period, resets_of
from tests.vectors.recorded_grants import Recorded, read_grants
from tests.vectors.records import Record


def _refused_there(record: Record) -> bool:
    """OpenMeter does not calculate: balances do not fit grants, or a reset is not in the period."""
    period, grants = read_period(record), read_grants(record)
    names = {grant.name for grant in grants}
    needed = {grant.name for grant in grants if grant.is_active(period.start)}
    given = period.balances.keys()
    unpaired = bool(given - names) or (bool(given) and bool(needed - given))
    return unpaired or any(not period.start < at <= period.until for at in period.resets)


def _reset_of_a_recurring_grant(record: Record) -> bool:
    """A reset falls between two recurrences: the bucket of a recurrence ends with the next one."""
    period = read_period(record)
    return any(grant.recurrence and resets_of(grant, period) for grant in read_grants(record))


def _rolls_again(record: Record) -> bool:
    """What was rolled over is reset again: a successor does not roll."""
    period = read_period(record)
    return any(grant.most and len(resets_of(grant, period)) > 1 for grant in read_grants(record))


def _rolls_for_longer(record: Record) -> bool:
    """What is rolled over has to last longer than the grant has before it, while usage came in."""
    period = read_period(record)
    return any(_is_too_short(grant, period) for grant in read_grants(record))


def _is_too_short(grant: Recorded, period: Period) -> bool:
    resets = resets_of(grant, period)
    if not grant.most or not resets:
        return False
    begins = begins_for(grant, resets[0], period)
    return any(begins <= at < grant.begins for at, _ in period.usage)


def _overage_carried(record: Record) -> bool:
    """Overage of one time comes out of the grant that comes next."""
    burnt = BurnDown(record)
    period = burnt.period
    drops = [] if period.keeps_overage else period.resets
    for at, units in burnt.uncovered:
        if units and burnt.opens(at, next((reset for reset in drops if reset > at), None)):
            return True
    if not period.overage:
        return False
    has_balance = any(
        grant.is_active(period.start) and period.balances.get(grant.name, grant.amount)
        for grant in burnt.grants
    )
    return has_balance or burnt.opens(period.start - 1, next(iter(drops), None))


REASONS: Mapping[str, Callable[[Record], bool]] = {
    "refused_there": _refused_there,
    "reset_of_a_recurring_grant": _reset_of_a_recurring_grant,
    "rolls_again": _rolls_again,
    "rolls_for_longer": _rolls_for_longer,
    "overage_carried": _overage_carried,
}
