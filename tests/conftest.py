"""What every test run shares: a deterministic hypothesis profile.

`derandomize` draws the same examples in each run, so a red run is red for everyone; without a
deadline, a slow machine is slow and not wrong.
"""

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
