"""Problem documents: what every error is answered with (RFC 9457, `application/problem+json`).

`code` is stable and what programs read;
`detail` is one sentence with the place, the value and what was expected.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:tollbook:problem:"

CODES: Mapping[str, int] = {
    "malformed_request": 400,
    "invalid_parameter": 400,
    "invalid_body": 400,
    "key_missing": 401,
    "key_unknown": 401,
    "account_not_of_key": 403,
    "records_forbidden": 403,
    "not_found": 404,
    "account_unknown": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "body_too_large": 413,
    "too_many_records": 413,
    "media_type_not_supported": 415,
    "encoding_not_supported": 415,
    "records_rejected": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "unhealthy": 503,
    "busy": 503,
    "not_acknowledged": 503,
    "balances_not_read": 503,
}
"""Every code, with its status."""


class Problem(Exception):
    """An error to be answered: a code of `CODES`, a sentence, and what a program may need."""

    def __init__(
        self,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def document(problem: Problem) -> dict[str, Any]:
    """Return the problem document."""
    status = HTTPStatus(CODES[problem.code])
    return {
        "type": f"{_TYPE}{problem.code}",
        "title": status.phrase,
        "status": status.value,
        "code": problem.code,
        "detail": problem.detail,
        **problem.members,
    }


def respond(problem: Problem) -> JSONResponse:
    """Return the response of a problem."""
    return JSONResponse(
        document(problem), CODES[problem.code], headers=problem.headers, media_type=MEDIA_TYPE
    )
