"""Reading Avro's primitives one after the other, for the one record that is too large for a tree.

The general reader gives a tree of dictionaries of the whole record. Of a snapshot with a hundred
thousand accounts that is several times the state it describes; read in order, each account takes
its own shape at once (docs/decisions/0010). `primitives` is the writing half.
"""

from collections.abc import Callable
from io import BytesIO
from sys import intern
from typing import Any, TypeVar

from fastavro import schemaless_reader

_MORE = 0x80
_SEVEN_BITS = 0x7F

_Item = TypeVar("_Item")


class Reader:
    """A place in the bytes of a record. IndexError where they end too early."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    @property
    def is_at_end(self) -> bool:
        """Whether everything was read, and no more."""
        return self._at == len(self._data)

    def long(self) -> int:
        """Read a zigzag varint."""
        data, at = self._data, self._at
        byte = data[at]
        at += 1
        rest = byte & _SEVEN_BITS
        shift = 7
        while byte & _MORE:
            byte = data[at]
            at += 1
            rest |= (byte & _SEVEN_BITS) << shift
            shift += 7
        self._at = at
        return (rest >> 1) ^ -(rest & 1)

    def fixed(self, size: int) -> bytes:
        """Read so many bytes."""
        at = self._at
        end = self._at = at + size
        if not at <= end <= len(self._data):
            raise IndexError(f"got {len(self._data) - at} bytes more, expected {size}")
        return self._data[at:end]

    def text(self) -> str:
        """Read a string."""
        return self.fixed(self.long()).decode()

    def repeated_text(self) -> str:
        """Read a string that comes again and again: it is kept in memory once."""
        return intern(self.text())

    def decimal(self) -> int:
        """Read a decimal of scale 12 as its pico integer."""
        return int.from_bytes(self.fixed(self.long()), "big", signed=True)

    def boolean(self) -> bool:
        """Read a boolean."""
        return self.fixed(1) != b"\0"

    def optional_long(self) -> int | None:
        """Read a union of null and a long."""
        if not self.long():
            return None
        return self.long()

    def record(self, schema: Any) -> dict[str, Any]:
        """Read a record that few have, with the general reader; `schema` is of `loader.part`."""
        body = BytesIO(self._data)  # shares the bytes
        body.seek(self._at)
        fields: dict[str, Any] = schemaless_reader(body, schema, None)  # type: ignore[assignment]
        self._at = body.tell()
        return fields

    def array(self, item: Callable[["Reader"], _Item]) -> list[_Item]:
        """Read an array; `item` reads one of its items."""
        items: list[_Item] = []
        while count := self.long():
            items += [item(self) for _ in range(count)]
        return items
