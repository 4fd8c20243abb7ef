"""What every test run shares: a deterministic hypothesis profile, and Ctrl-C.

`derandomize` draws the same examples in each run, so a red run is red for everyone; without a
deadline, a slow machine is slow and not wrong.

A shell that starts the suite in the background has it ignore Ctrl-C, and so would the processes that
tests interrupt.
"""

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fixtures.kafka"]

settings.register_profile(
    "tollbook",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tollbook")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
