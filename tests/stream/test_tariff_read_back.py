"""Published tariffs, read back and named in other commands, on a real Kafka."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.entrypoints.cli.main import app
from tests.entrypoints.test_rate_command import usage
from tests.stream.deployment import Deployment, flat

pytestmark = pytest.mark.kafka


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix)
    found.publish_tariff(flat("1"))
    yield found
    found.close()


def tariff_command(deployment: Deployment, *arguments: object) -> Result:
    settings = deployment.settings
    environment = {"TOLLBOOK_BOOTSTRAP": settings.bootstrap, "TOLLBOOK_PREFIX": settings.prefix}
    return CliRunner(env=environment).invoke(app, ["tariff", *(str(text) for text in arguments)])


def test_a_version_read_back_as_yaml_is_the_same_and_edited_it_is_the_next(
    deployment: Deployment, tmp_path: Path
) -> None:
    shown = tariff_command(deployment, "show", "plan", "--yaml")
    assert shown.exit_code == 0
    same = tmp_path / "same.yaml"
    same.write_text(shown.stdout)
    again = tariff_command(deployment, "publish", same, "--json")
    assert json.loads(again.stdout)["state"] == "was published before"

    edited = tmp_path / "next.yaml"
    assert "version: 1\n" in shown.stdout
    assert "unit_price: '1'" in shown.stdout
    edited.write_text(shown.stdout.replace("version: 1\n", "version: 2\n").replace("'1'", "'1.5'"))
    bootstrap = deployment.settings.bootstrap
    follows = tariff_command(deployment, "validate", edited, "--bootstrap", bootstrap)
    assert follows.exit_code == 0, follows.output
    differs = json.loads(tariff_command(deployment, "diff", "plan@1", edited, "--json").stdout)
    percents = [field["percent"] for part in differs["changes"] for field in part["fields"]]
    assert percents[-1] == "+50.00"
    assert tariff_command(deployment, "publish", edited).exit_code == 0

    lines = tmp_path / "usage.jsonl"
    lines.write_text(usage("e1", input=2))
    compared = tariff_command(deployment, "compare", "--usage", lines, "plan@1", "plan@2", "--json")
    plans = json.loads(compared.stdout)["plans"]
    assert [(plan["plan"], plan["total"]) for plan in plans] == [("plan@1", "2"), ("plan@2", "3")]
    published = tariff_command(deployment, "compare", "--usage", lines, "plan", "--json")
    assert json.loads(published.stdout)["plans"][0]["versions"] == [1, 2]


def test_a_version_that_may_not_follow_the_published_ones_is_found_before_it_is_published(
    deployment: Deployment, tmp_path: Path
) -> None:
    shown = tariff_command(deployment, "show", "plan", "--yaml").stdout
    other = tmp_path / "other.yaml"
    other.write_text(shown.replace("'1'", "'2'"))
    bootstrap = deployment.settings.bootstrap
    assert tariff_command(deployment, "validate", other).exit_code == 0
    found = tariff_command(deployment, "validate", other, "--bootstrap", bootstrap)
    assert found.exit_code == 1
    assert "a version above 1" in found.stdout
    absent = tariff_command(deployment, "show", "nothing")
    assert absent.exit_code == 3
