from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rating.matching import Facts, Match, ambiguities, most_specific
from engine.rating.pattern import ANY, Pattern


class Named(NamedTuple):
    """As much of a component as matching needs."""

    name: str
    match: Match


def exact(text: str) -> Pattern:
    return Pattern(choices=(text,))


def one_of(*texts: str) -> Pattern:
    return Pattern(choices=texts)


def glob(text: str) -> Pattern:
    return Pattern(glob=text)


def chosen(candidates: Sequence[Named], model: str = "gpt-4o", context_length: int = 0) -> str:
    found = most_specific(list(candidates), facts(model, context_length))
    return found.name if found else ""


def facts(model: str, context: int = 0, provider: str = "openai") -> Facts:
    """Return the facts of a chat."""
    return Facts(
        "acme", "login-1", model, provider, "chat", "standard", "", "user", context=context
    )


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (ANY, "anything", True),
        (exact("gpt-4o"), "gpt-4o", True),
        (exact("gpt-4o"), "gpt-4o-mini", False),
        (exact("gpt-4o"), "GPT-4o", False),
        (one_of("a", "b"), "b", True),
        (one_of("a", "b"), "c", False),
        (glob("gpt-4o*"), "gpt-4o", True),
        (glob("gpt-4o*"), "gpt-4o-mini", True),
        (glob("gpt-4o*"), "xgpt-4o", False),
        (glob("*mini"), "gpt-4o-mini", True),
        (glob("gpt-?"), "gpt-5", True),
        (glob("gpt-?"), "gpt-", False),
        (glob("gpt-?"), "gpt-55", False),
        (glob("a*b*c"), "a-b-b-c", True),
        (glob("a.c*"), "abc", False),  # a dot is a dot
        (glob("[ab]*"), "[ab]x", True),
        (glob("[ab]*"), "ax", False),
        (glob("\\*"), "\\x", True),
        (glob("*"), "", True),
        (glob("*"), "two\nlines", True),
    ],
)
def test_a_pattern_fits_whole_texts(pattern: Pattern, text: str, fits: bool) -> None:
    assert pattern.matches(text) is fits


def test_exact_beats_list_beats_longer_glob_beats_shorter_glob_beats_any() -> None:
    ranked = [ANY, glob("g*"), glob("gp*"), one_of("a", "b"), exact("a")]
    assert sorted(ranked, key=lambda pattern: pattern.rank) == ranked
    assert len({pattern.rank for pattern in ranked}) == len(ranked)


def test_dimensions_are_compared_one_after_the_other_model_first() -> None:
    by_model = Named("by-model", Match(model=glob("g*")))
    by_rest = Named(
        "by-rest",
        Match(provider=exact("openai"), operation=exact("chat"), service_tier=exact("standard")),
    )
    assert chosen([by_rest, by_model]) == "by-model"
    assert chosen([by_rest, by_model], model="o3") == "by-rest"


def test_each_dimension_outranks_all_that_follow() -> None:
    provider = Named("provider", Match(provider=glob("o*")))
    operation = Named("operation", Match(operation=exact("chat"), service_tier=exact("standard")))
    tier = Named("tier", Match(service_tier=glob("s*")))
    context = Named("context", Match(context_above=10**9))
    assert chosen([context, tier, operation, provider], context_length=10**10) == "provider"
    assert chosen([context, tier, operation], context_length=10**10) == "operation"
    assert chosen([context, tier], context_length=10**10) == "tier"


def test_a_context_threshold_must_be_strictly_exceeded_and_the_higher_one_wins() -> None:
    ladder = [
        Named("any", Match()),
        Named("above-0", Match(context_above=0)),
        Named("above-100", Match(context_above=100)),
        Named("above-200", Match(context_above=200)),
    ]
    lengths = (0, 1, 100, 101, 200, 201)
    assert [chosen(ladder, context_length=length) for length in lengths] == [
        *("any", "above-0", "above-0", "above-100", "above-100", "above-200"),
    ]


def test_nothing_is_chosen_where_nothing_matches() -> None:
    assert chosen([Named("other", Match(model=exact("o3")))]) == ""
    assert chosen([]) == ""


@pytest.mark.parametrize(
    ("first", "second", "tie"),
    [
        (Match(), Match(), True),
        (Match(model=exact("a")), Match(model=exact("a")), True),
        (Match(model=exact("a")), Match(model=exact("b")), False),
        (Match(model=exact("a")), Match(), False),  # of different rank
        (Match(model=one_of("a", "b")), Match(model=one_of("b", "c")), True),
        (Match(model=one_of("a", "b")), Match(model=one_of("c", "d")), False),
        (Match(model=glob("a*")), Match(model=glob("*b")), True),
        (Match(model=glob("a*")), Match(model=glob("b*")), False),
        (Match(model=glob("a*")), Match(model=glob("ab*")), False),  # the longer one wins
        (Match(model=glob("a?")), Match(model=glob("?b")), True),
        (Match(context_above=1), Match(context_above=1), True),
        (Match(context_above=1), Match(context_above=2), False),
        (Match(context_above=0), Match(), False),
        (Match(provider=exact("p")), Match(operation=exact("chat")), False),
        (
            Match(model=glob("a*"), provider=exact("p")),
            Match(model=glob("*a"), provider=exact("q")),
            False,
        ),
    ],
)
def test_two_components_that_tie_for_some_event_are_ambiguous(
    first: Match, second: Match, tie: bool
) -> None:
    found = list(ambiguities([Named("one", first), Named("two", second)]))
    assert [(tie.first, tie.second) for tie in found] == ([("one", "two")] if tie else [])
    for event in [tie.event for tie in found]:
        assert first.matches(event)
        assert second.matches(event)
    assert bool(list(ambiguities([Named("two", second), Named("one", first)]))) is tie


TEXTS = [
    "".join(letters)
    for letters in (
        *[("",)],
        *[(a,) for a in "ab"],
        *[(a, b) for a in "ab" for b in "ab"],
        *[(a, b, c) for a in "ab" for b in "ab" for c in "ab"],
        *[(a, b, c, d) for a in "ab" for b in "ab" for c in "ab" for d in "ab"],
    )
]
PATTERNS = st.one_of(
    st.just(ANY),
    st.sets(st.sampled_from(TEXTS), min_size=1, max_size=3).map(
        lambda choices: Pattern(choices=tuple(sorted(choices)))
    ),
    st.text("ab*?", min_size=1, max_size=4).filter(lambda t: "*" in t or "?" in t).map(glob),
)


@given(PATTERNS, PATTERNS)
def test_patterns_overlap_exactly_if_some_text_fits_both(first: Pattern, second: Pattern) -> None:
    """Over two letters a common text, if there is any, has no more of them than both globs."""
    witness = any(first.matches(text) and second.matches(text) for text in LONGER_TEXTS)
    for meeting in (first.meeting(second), second.meeting(first)):
        assert (meeting is not None) is witness
        if meeting is not None:
            assert first.matches(meeting)
            assert second.matches(meeting)


LONGER_TEXTS = [*TEXTS, *[first + second for first in TEXTS[15:] for second in TEXTS[1:]]]


MATCHES = st.builds(
    Match,
    model=PATTERNS,
    provider=PATTERNS,
    context_above=st.none() | st.integers(0, 2),
)


@given(st.lists(MATCHES, min_size=1, max_size=5), st.data())
def test_without_ambiguities_the_order_of_components_never_matters(
    matches: list[Match], data: st.DataObject
) -> None:
    candidates = [Named(str(number), match) for number, match in enumerate(matches)]
    if list(ambiguities(list(candidates))):
        return
    shuffled = data.draw(st.permutations(candidates))
    for model in TEXTS[:15]:
        for provider in TEXTS[:7]:
            for length in (0, 1, 3):
                event = facts(model, length, provider)
                expected = most_specific(candidates, event)
                assert most_specific(list(shuffled), event) == expected
