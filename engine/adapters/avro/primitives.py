"""Avro's primitives as bytes, for the one record that is written too often for a general writer.

A general writer looks every field up by name and walks the schema; that costs more than rating
the event does. `charge.encode_charge` writes its fields in the schema's order with these, and a
test holds its bytes against the general writer's (docs/decisions/0009).
"""

from functools import lru_cache

_SEVEN_BITS = 0x7F
_MORE = 0x80


def long(value: int) -> bytes:
    """Return a zigzag varint (Avro specification, "Binary encoding")."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    if rest < _MORE:
        return _BYTE[rest]
    out = bytearray()
    while rest > _SEVEN_BITS:
        out.append((rest & _SEVEN_BITS) | _MORE)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_ZERO = b"\2\0"
_BYTE = [bytes([number]) for number in range(256)]
repeated_long = lru_cache(maxsize=65_536)(long)
"""`long` for values that come again and again: offsets of a batch, quantities, times of a record."""


def text(value: str) -> bytes:
    """Return a string: its length in bytes, then UTF-8."""
    data = value.encode()
    return long(len(data)) + data


repeated_text = lru_cache(maxsize=65_536)(text)
"""`text` for values that come again and again: names of models, components, accounts."""


def decimal(pico: int) -> bytes:
    """Return a decimal of scale 12: a length, then big-endian two's complement of the pico integer."""
    if not pico:
        return _ZERO
    size = (pico.bit_length() + 8) // 8
    return _BYTE[size << 1] + pico.to_bytes(size, "big", signed=True)


def optional_decimal(pico: int | None) -> bytes:
    """Return a union of null and decimal."""
    return b"\0" if pico is None else b"\2" + decimal(pico)


def optional_long(value: int | None) -> bytes:
    """Return a union of null and long."""
    return b"\0" if value is None else b"\2" + long(value)


END_OF_ARRAY = b"\0"


def array(items: list[bytes]) -> bytes:
    """Return an array of encoded items: one block, then the end."""
    return b"".join((long(len(items)), *items, END_OF_ARRAY)) if items else END_OF_ARRAY
