"""The story as people see it: the statement on the terminal, as JSON and in the README, and the news."""

from io import StringIO

from rich.console import Console

from engine.entrypoints.cli.account_statement import statement_json, statement_picture
from engine.entrypoints.story_data import PERIOD, story
from engine.entrypoints.story_news import news_of
from engine.entrypoints.story_telling import chapters
from replay.statement import statement
from tests.docs.pages import README
from tests.story.telling import Telling, told


def shown(telling: Telling) -> list[str]:
    """Return the lines of the printed statement, blanks at their ends left out."""
    text = StringIO()
    Console(file=text, width=110).print(statement_picture(statement(telling.records, PERIOD)))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_the_readme_shows_the_statement_of_the_story() -> None:
    page = README.read_text(encoding="utf-8").splitlines()
    first, last = page.index(shown(told())[0]), page.index("statement      it adds up")
    lines = [line for line in page[first:last] if line not in ("...", "")]
    assert len(lines) > 15
    rest = iter(shown(told()))
    for line in lines:
        assert line in rest, f"not shown there: {line}"


def test_a_statement_in_json_has_money_as_decimal_texts_and_quantities_as_numbers() -> None:
    found = statement_json(statement(told().records, PERIOD))
    assert found["amount"] == "19.3114088"
    assert found["due"] == "11.3114088"
    assert found["problems"] == []
    assert found["covered"][0] == {
        "bucket": "welcome",
        "kind": "cache_read",
        "quantity": 5930361,
        "units": "5930361",
    }
    assert found["paid"] == [{"bucket": "wallet", "amount": "8", "credited": "0.018288"}]
    assert found["buckets"][1]["rolled"] == "202091"
    assert found["buckets"][1]["is_open"] is False


def test_what_does_not_add_up_is_printed_in_the_place_of_the_verdict() -> None:
    broken = statement(told().records, PERIOD)._replace(due=0)
    text = StringIO()
    Console(file=text, width=110).print(statement_picture(broken))
    assert "it adds up" not in text.getvalue()
    assert "due is 0, its changes come to something else" in text.getvalue()


def test_the_news_tell_what_happened_in_the_account_s_own_time() -> None:
    telling = Telling()
    lines = []
    for step in story():
        lines += [news_of(record, step.received_at) for record in telling.take(step)]
    news = [line for line in lines if line]
    assert len(news) < 70
    assert "10-28 09:00  bucket recharged  1600000 more into team#0" in news
    assert "11-03 00:00  expiry            wallet" in news
    assert any(line.startswith("11-03 10:00  late usage") for line in news)


def test_the_parts_in_which_the_story_is_told_are_the_story() -> None:
    before, after = chapters()
    assert [step for chapter in (*before, *after) for step in chapter] == story()
