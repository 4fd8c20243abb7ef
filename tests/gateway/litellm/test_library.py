"""`litellm.callbacks = [tollbook]`: the calls of a program, sync, async and streaming."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.gateway.litellm.proxy import ROOT, UNREACHABLE, read_spools

pytestmark = pytest.mark.litellm


def test_each_answered_call_of_a_program_is_in_the_spool_once(
    litellm_python: Path, provider_url: str, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "TOLLBOOK_BOOTSTRAP": UNREACHABLE,
        "TOLLBOOK_ACCOUNT": "acme",
        "TOLLBOOK_SPOOL": str(tmp_path / "spool"),
    }
    command = (str(litellm_python), "-m", "tests.gateway.litellm.library", provider_url)
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    events = read_spools(tmp_path)
    kinds = {
        event["model"]: {
            kind: n for kind, n in event["quantities"].items() if n and kind != "request"
        }
        for event in events
    }
    whole = {"input": 60, "cache_read": 40, "output": 15, "reasoning": 5}
    assert kinds.pop("async-estimated").keys() == {"unexplained"}
    assert kinds == {
        "sync": whole,
        "sync-stream": whole,
        "sync-embedding": {"input": 7},
        "async": whole,
        "async-stream": whole,
        "async-embedding": {"input": 7},
    }
    assert len(events) == len(kinds) + 1
    assert {event["account_id"] for event in events} == {"acme"}
