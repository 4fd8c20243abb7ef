"""Windows as people write them: one, or a list."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.adapters.documents.matching import MatchDocument
from engine.adapters.documents.reading import InvalidFile, validate
from engine.rating.matching import Match

NIGHT = {"hours": ["22:00-06:00"]}


@pytest.mark.parametrize("time", [NIGHT, [NIGHT], [NIGHT, {"weekdays": ["sat", "sun"]}], {}])
def test_one_window_and_a_list_of_them_fit_the_json_schema_that_editors_use(time: Any) -> None:
    Draft202012Validator(MatchDocument.model_json_schema()).validate({"time": time})
    assert isinstance(validate(MatchDocument, {"time": time}, "x", MatchDocument.build), Match)


def test_one_window_is_a_list_of_one() -> None:
    one, listed = (MatchDocument.model_validate({"time": time}) for time in (NIGHT, [NIGHT]))
    assert one.build() == listed.build()


def test_no_window_at_all_is_refused() -> None:
    with pytest.raises(InvalidFile, match="time"):
        validate(MatchDocument, {"time": []}, "x", MatchDocument.build)
