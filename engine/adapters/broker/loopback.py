"""Ports on loopback that a broker can have, and keep over a restart.

Ports are taken from below the range that the operating system hands out to outgoing connections.
From inside that range, a client that retries while the broker is down may be given the broker's own
port as its source port, connect to itself, and so keep the broker from coming back.
"""

import random
import socket

from engine.adapters.broker.configuration import LOOPBACK

_FIRST_PORT, _LAST_PORT = 20_000, 31_999


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now.

    SO_REUSEADDR, as Kafka sets it too: remains of closed connections do not count, listeners do.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(*, besides: int | None = None) -> int:
    """Return a free loopback port other than `besides`.

    Between this answer and its use another process may take it: whoever uses it must notice.
    """
    candidates = list(range(_FIRST_PORT, _LAST_PORT + 1))
    random.shuffle(candidates)
    return next(port for port in candidates if port != besides and is_free(port))
