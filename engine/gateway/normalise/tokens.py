"""The token algebra: overlapping numbers in, disjoint kinds out, and nothing lost on the way.

A format first says what it reports in one language (`Reported`): all of the input, all of the output,
and the parts of them that providers tell apart. Two parts of different dimensions may overlap (audio
that was read from the cache has a kind of its own, images that were do not); two of one dimension can
not. `disjoint` then counts each token once:

- input = cache_read + audio_cache_read + cache_write_5m + cache_write_1h + audio_input + image_input
  + input;
- output = reasoning + audio_output + image_output + output.

What the record says twice must agree. Where a total is larger by exactly a part that some servers
count beside the whole (xAI's reasoning), that explains it. Any other difference, and what parts claim
beyond their whole, is kind `unexplained`: it is charged to nobody before somebody has looked.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple


class Reported(NamedTuple):
    """Counts of one model call, in tokens.

    `input` and `output` are wholes, unless a total explains that a part stands beside them; `total`
    is None where none is reported. `cached_audio` and `cached_image` say how much of the audio and
    image input was read from the cache: parts of `cache_read` as well. `tool_input` is input that
    tools added, counted in `input` or beside it. `unexplained` is what checks of the format itself
    found.
    """

    input: int = 0
    output: int = 0
    total: int | None = None
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    image_input: int = 0
    cached_audio: int = 0
    cached_image: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    tool_input: int = 0
    unexplained: int = 0


def disjoint(reported: Reported) -> dict[str, int]:
    """Return the disjoint kinds above zero, in tokens."""
    input_tokens, output_tokens, unexplained = _wholes(reported)
    kinds, excess = _input_kinds(reported, input_tokens)
    unexplained += excess
    output_kinds, excess = _output_kinds(reported, output_tokens)
    unexplained += excess + reported.unexplained
    kinds |= output_kinds
    kinds["unexplained"] = unexplained
    return {kind: quantity for kind, quantity in kinds.items() if quantity}


def _wholes(reported: Reported) -> tuple[int, int, int]:
    """Return all input, all output, and by how much the total differs from them."""
    difference = 0
    if reported.total is not None:
        difference = reported.total - reported.input - reported.output
    if not difference:
        return reported.input, reported.output, 0
    beside_input = (
        reported.cache_read + reported.cache_write_5m + reported.cache_write_1h,
        reported.tool_input,
    )
    for part_input, part_output in _explanations(beside_input, reported.reasoning):
        if difference == part_input + part_output:
            return reported.input + part_input, reported.output + part_output, 0
    return reported.input, reported.output, abs(difference)


def _explanations(beside_input: Sequence[int], reasoning: int) -> list[tuple[int, int]]:
    """Return what may stand beside (input, output), the plainest explanation first."""
    sums = [
        sum(chosen)
        for size in range(len(beside_input) + 1)
        for chosen in combinations(beside_input, size)
    ]
    return [(part, output) for part in sums for output in (0, reasoning)]


def _input_kinds(reported: Reported, whole: int) -> tuple[dict[str, int], int]:
    parts = (reported.cache_read, reported.cache_write_5m, reported.cache_write_1h)
    (cache_read, write_5m, write_1h), excess = _fill(whole, parts)
    (audio, image), modal_excess = _fill(whole, (reported.audio_input, reported.image_input))
    uncached = whole - cache_read - write_5m - write_1h
    fresh = (max(audio - reported.cached_audio, 0), max(image - reported.cached_image, 0))
    (audio, image), _ = _fill(uncached, fresh)  # the rest of them was read from the cache
    cached_audio = min(cache_read, reported.cached_audio)
    kinds = {
        "input": uncached - audio - image,
        "cache_read": cache_read - cached_audio,
        "audio_cache_read": cached_audio,
        "cache_write_5m": write_5m,
        "cache_write_1h": write_1h,
        "audio_input": audio,
        "image_input": image,
    }
    return kinds, excess + modal_excess


def _output_kinds(reported: Reported, whole: int) -> tuple[dict[str, int], int]:
    (reasoning,), excess = _fill(whole, (reported.reasoning,))
    parts = _fill(whole, (reported.audio_output, reported.image_output))
    (audio, image), _ = _fill(whole - reasoning, parts[0])
    kinds = {
        "output": whole - reasoning - audio - image,
        "reasoning": reasoning,
        "audio_output": audio,
        "image_output": image,
    }
    return kinds, excess + parts[1]


def _fill(whole: int, parts: Sequence[int]) -> tuple[list[int], int]:
    """Return how much of each part, in order, the whole has room for, and what finds none."""
    room, taken = whole, []
    for part in parts:
        taken.append(min(part, room))
        room -= taken[-1]
    return taken, sum(parts) - sum(taken)
