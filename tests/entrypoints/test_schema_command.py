"""`tollbook schema` prints what validates the records that the other commands print."""

import json

import jsonschema
import pytest

import schemas
from tests.entrypoints.test_rate_command import TARIFF, tollbook, usage


@pytest.mark.parametrize("name", schemas.NAMES)
def test_every_record_has_a_json_schema(name: str) -> None:
    done = tollbook("schema", name)
    assert done.returncode == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))


def test_an_unknown_record_is_not_found() -> None:
    done = tollbook("schema", "nonsense")
    assert done.returncode == 3
    assert "charge_event" in done.stderr


def test_a_charge_of_the_rate_command_fits_its_schema(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tariff = tmp_path_factory.mktemp("tariff") / "business.yaml"
    tariff.write_text(TARIFF)
    done = tollbook(
        "rate", "--tariff", str(tariff), "--usage", "-", stdin=usage("e1", input=1, image=2)
    )
    schema = json.loads(tollbook("schema", "charge_event").stdout)
    jsonschema.validate(json.loads(done.stdout), schema)
