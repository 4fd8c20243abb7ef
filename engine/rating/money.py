"""Money without rounding.

An amount is an integer of *pico*: 1e-12 of the currency unit. Prices are exact rationals and are
never rounded; only a cumulative amount is floored to pico, as a whole (semantics section 2), so
that charges telescope. Decimals enter and leave as strings; a float never comes near.
"""

import re
from fractions import Fraction

PICO = 10**12
"""Pico per currency unit, and pico units per metered unit."""

LIMIT_PICO = 10**38
"""Amounts are stored as DECIMAL(38,12): every amount's magnitude is below this."""

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,18})?")

MINOR_UNITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys(
        (
            "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP "
            "BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
            "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT "
            "LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN "
            "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
            "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED "
            "VES WST XCD YER ZAR ZMW ZWG"
        ).split(),
        2,
    ),
}
"""ISO 4217 currencies and the decimals of their minor unit (source: ISO 4217 list one)."""


def parse_decimal(text: str) -> Fraction:
    """Return the exact value of a decimal string such as ``"2.50"``.

    Raises ValueError for anything else: exponents, signs other than a leading minus, more than
    26 integer or 18 fractional digits.

    >>> parse_decimal("2.50")
    Fraction(5, 2)
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a decimal such as '2.50'")
    return Fraction(text)


def to_pico(value: Fraction) -> int:
    """Return an exact pico integer; ValueError if the value has more than 12 decimals."""
    scaled = value * PICO
    if scaled.denominator != 1:
        raise ValueError(f"{value} has more than 12 decimals")
    return scaled.numerator


def format_pico(pico: int) -> str:
    """Return pico as the shortest decimal string.

    >>> format_pico(11_220_000_000), format_pico(-3 * PICO), format_pico(0)
    ('0.01122', '-3', '0')
    """
    whole, fraction = divmod(abs(pico), PICO)
    sign = "-" if pico < 0 else ""
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:012d}".rstrip("0")


def format_decimal(value: Fraction, digits: int = 18) -> str:
    """Return a terminating rational as the shortest decimal string; ValueError if it has no end.

    >>> format_decimal(Fraction(5, 2))
    '2.5'
    """
    scale = 10**digits
    scaled = value * scale
    if scaled.denominator != 1:
        raise ValueError(f"{value} has no decimal form of {digits} digits or fewer")
    whole, fraction = divmod(abs(scaled.numerator), scale)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{fraction:0{digits}d}".rstrip("0").rstrip(".")
