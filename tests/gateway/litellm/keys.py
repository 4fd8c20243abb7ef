"""The proxy's keys: what LiteLLM's database would say of them, without a database."""

from typing import Any

_KEYS = {
    "sk-acme": {"team_id": "red", "org_id": "acme", "key_alias": "victim", "user_id": "ann"},
    "sk-globex": {"team_id": "globex", "key_alias": "victim"},
    "sk-alias": {"key_alias": "victim"},
}


async def check(request: Any, api_key: str) -> Any:  # noqa: ARG001 - LiteLLM's signature
    """Return who a key belongs to; raise for a key that is none."""
    from litellm.proxy._types import UserAPIKeyAuth  # noqa: PLC0415 - only the proxy has it

    return UserAPIKeyAuth(api_key=api_key, **_KEYS[api_key])
