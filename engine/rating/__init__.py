"""The specification: pure rules of rating and charging, one event at a time, in exact integers.

An auditor reads this package and nothing else to know what a charge must be. It imports only the
standard library and touches no clock, randomness, environment or IO: time and identifiers arrive
in events. Reading order: money, usage, period, price, matching, tariff, charge, account, rate,
lifecycle, ledger, journal.

Units: money in pico (1e-12 of the currency unit), metered quantities in pico units (so that
weights with up to 12 decimals stay exact), instants in microseconds since 1970-01-01 UTC.
"""
