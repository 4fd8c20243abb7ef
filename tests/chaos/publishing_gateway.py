"""A gateway to be killed: it publishes numbered usage, and notes each event that was taken.

    python -m tests.chaos.publishing_gateway SPOOL TAKEN FIRST ACCOUNT...

TAKEN gets one number a line, written after `publish` has returned: what stands there was promised.
It begins with the number FIRST and goes on until it is killed, or asked to stop (SIGTERM); then it
delivers what is left.
"""

import itertools
import os
import signal
import sys
import time
from pathlib import Path

from engine.adapters.documents.usage import usage_json
from engine.gateway import Publisher
from engine.settings import kafka_settings
from tests.stream.deployment import usage

_PAUSE_SECONDS = 0.0005


def main() -> None:
    """Publish."""
    spool, taken, first, *accounts = sys.argv[1:]
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    settings = kafka_settings()
    notes = os.open(Path(taken), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    publisher = Publisher(
        settings.bootstrap, "gateway-1", spool=spool, prefix=settings.prefix, publisher="edge"
    )
    for number in itertools.count(int(first)):
        if stopping:
            break
        account_id = accounts[number % len(accounts)]
        event = usage(f"e{number}", account_id, quantities={"input": number + 1})
        publisher.publish(usage_json(event))
        os.write(notes, f"{number}\n".encode())
        time.sleep(_PAUSE_SECONDS)
    delivered = publisher.close(timeout_seconds=60)
    sys.exit(0 if delivered else 1)


if __name__ == "__main__":
    main()
