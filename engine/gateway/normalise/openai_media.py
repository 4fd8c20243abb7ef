"""OpenAI's images and audio: tokens where the model counts them, else images or milliseconds.

An image answer without usage (an older model) is counted by its images. A transcription is billed by
tokens or by its duration. Speech comes as bytes: only the last event of its stream has usage.
"""

from collections.abc import Mapping

from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, Reading
from engine.gateway.normalise.openai import has_usage, identified, is_error, token_kinds
from engine.gateway.normalise.record import Context, Part

_MILLISECONDS = 1_000
_SPEECH_ENDED = "speech.audio.done"
_TRANSCRIPT_ENDED = "transcript.text.done"


def _images(record: Part) -> list[Mapping[str, object]]:
    data = record.data.get("data")
    if not isinstance(data, list):
        return []
    return [
        item for item in data if isinstance(item, Mapping) and ("url" in item or "b64_json" in item)
    ]


def _fits_image(record: Part) -> bool:
    usage = record.data.get("usage")
    details = usage.get("input_tokens_details") if isinstance(usage, Mapping) else None
    has_image_tokens = isinstance(details, Mapping) and "image_tokens" in details
    kind = record.data.get("type")
    is_stream = isinstance(kind, str) and kind.startswith("image_") and kind.endswith(".completed")
    return bool(_images(record)) or has_image_tokens or is_stream


def _read_image(record: Part, context: Context) -> Reading:
    """Read the answer to an image request: by tokens if it has them, else by images."""
    del context
    if is_error(record):
        return ERROR_RESPONSE
    usage = record.part("usage")
    quantities = token_kinds(usage, image_output=True) or {"image": len(_images(record))}
    call = Call(quantities, provider="openai", operation="image")
    return (identified(call, record, record),)


def _fits_audio(record: Part) -> bool:
    usage = record.data.get("usage")
    if isinstance(usage, Mapping) and usage.get("type") in ("tokens", "duration"):
        return True
    if record.data.get("type") in (_SPEECH_ENDED, _TRANSCRIPT_ENDED):
        return True
    return "text" in record.data and "duration" in record.data


def _accepts_audio(record: Part) -> bool:
    """Say whether this may be a transcription: some servers answer with its text alone."""
    return isinstance(record.data.get("text"), str) or _fits_audio(record)


def _read_audio(record: Part, context: Context) -> Reading:
    """Read a transcription, or the last event of a transcription's or a speech's stream."""
    del context
    if is_error(record):
        return ERROR_RESPONSE
    usage = record.part("usage")
    if record.data.get("type") == _SPEECH_ENDED and has_usage(usage):
        quantities = token_kinds(usage)
        quantities["audio_output"] = quantities.pop("output", 0) + quantities.get("audio_output", 0)
    elif has_usage(usage):
        quantities = token_kinds(usage)
    else:
        seconds = usage.scaled(_MILLISECONDS, "seconds")
        if seconds is None:
            seconds = record.scaled(_MILLISECONDS, "duration")
        quantities = {"millisecond": seconds or 0}
    call = Call(quantities, provider="openai", operation="audio")
    return (identified(call, record, record),)


FORMS = (
    Form("openai_image", _fits_image, _read_image, _fits_image),
    Form("openai_audio", _fits_audio, _read_audio, _accepts_audio),
)
