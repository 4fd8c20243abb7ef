"""Freezing the bytes of a record: `python -m tests.schemas.freeze NAME [NAME ...]`.

Run it once when a version of a schema is added. It writes the sample of that record in the latest
version to tests/data/records/NAME.VERSION.bin, and its JSON form beside it. A file that stands is
never written again: it is what journals hold by now.
"""

import json
import sys
from pathlib import Path

from engine.adapters.avro.wire import encode
from schemas import latest, to_json
from tests.schemas.samples import SAMPLES

RECORDS = Path(__file__).parents[1] / "data" / "records"


def freeze(name: str) -> str:
    """Write the sample of a record in its latest version; return what was done."""
    schema = latest(name)
    file = RECORDS / f"{name}.{schema.version}.bin"
    if file.exists():
        return f"{file.name} stands already; it is never written again"
    form = to_json(schema.declared, SAMPLES[name])
    file.write_bytes(encode(schema, SAMPLES[name]))
    text = json.dumps(form, indent=1, ensure_ascii=False, sort_keys=True)
    file.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    return f"{file.name} written"


if __name__ == "__main__":
    for record_name in sys.argv[1:] or [*SAMPLES]:
        print(freeze(record_name))  # noqa: T201 - a script tells what it did
