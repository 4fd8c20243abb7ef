"""Envoy with the how-to's access log, in front of a provider.

The filter of Envoy AI Gateway is not to be had as a package. A script in Lua stands in for it: it names
the model in a header, and once a response has ended well it puts the numbers of its usage into the
metadata, under the keys that the how-to's `AIGatewayRoute` gives them.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx2

from tests.gateway.products.howto import block
from tests.gateway.products.ingest import free_port, wait_until

_TYPE = "type.googleapis.com/envoy"
_PATIENCE_SECONDS = 60.0
_COSTS = {
    "InputToken": "prompt_tokens",
    "CachedInputToken": "cached_tokens",
    "CacheCreationInputToken": "cache_creation_tokens",
    "OutputToken": "completion_tokens",
    "ReasoningToken": "reasoning_tokens",
    "TotalToken": "total_tokens",
}
"""By what the gateway counts: its name in the answers of OpenAI's API."""

_SCRIPT = """
local namespace = "io.envoy.ai_gateway"
function envoy_on_request(handle)
  local body = handle:body()
  if body == nil then return end
  local model = string.match(body:getBytes(0, body:length()), '"model"%s*:%s*"([^"]*)"')
  handle:headers():replace("x-ai-eg-model", model)
  handle:streamInfo():dynamicMetadata():set(namespace, "request_model", model)
end
function envoy_on_response(handle)
  if handle:streamInfo():dynamicMetadata():get(namespace) == nil then return end
  if handle:headers():get(":status") ~= "200" then return end
  local text = ""
  for chunk in handle:bodyChunks() do text = text .. chunk:getBytes(0, chunk:length()) end
  local metadata = handle:streamInfo():dynamicMetadata()
  for key, name in pairs({COSTS}) do
    local count = string.match(text, '"' .. name .. '"%s*:%s*(%d+)')
    metadata:set(namespace, key, tonumber(count or "0"))
  end
  metadata:set(namespace, "model_name_override", string.match(text, '"model"%s*:%s*"([^"]*)"'))
  metadata:set(namespace, "backend_name", "default/openai/route/chat/rule/0/ref/0")
end
"""


def _script() -> str:
    """Return the script, which counts what the how-to's route asks for."""
    route = block("envoy", "spec", "llmRequestCosts")["spec"]
    costs = {cost["metadataKey"]: _COSTS[cost["type"]] for cost in route["llmRequestCosts"]}
    table = ", ".join(f'{key} = "{name}"' for key, name in costs.items())
    return _SCRIPT.replace("{COSTS}", f"{{{table}}}")


def _bootstrap(port: int, admin: int, provider: int, log: Path) -> dict[str, Any]:
    """Return Envoy's configuration. The log is what Envoy Gateway 1.9.1 makes of the how-to's."""
    telemetry = block("envoy", "spec", "telemetry")["spec"]["telemetry"]
    (setting,) = telemetry["accessLog"]["settings"]
    assert (setting["format"]["type"], setting["sinks"][0]["type"]) == ("JSON", "File")
    access_log = {
        "@type": f"{_TYPE}.extensions.access_loggers.file.v3.FileAccessLog",
        "path": str(log),
        "log_format": {"json_format": setting["format"]["json"]},
    }
    lua = {
        "@type": f"{_TYPE}.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": _script()},
    }
    router = {"@type": f"{_TYPE}.extensions.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "http",
        "use_remote_address": True,
        "preserve_external_request_id": True,  # as behind a proxy that is trusted
        "access_log": [{"name": "envoy.access_loggers.file", "typed_config": access_log}],
        "http_filters": [
            {"name": "envoy.filters.http.lua", "typed_config": lua},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"path": "/health"}, "direct_response": {"status": 200}},
                        {"match": {"prefix": "/"}, "route": {"cluster": "provider"}},
                    ],
                }
            ]
        },
    }
    chain = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [{"address": _address(port), "filter_chains": [{"filters": chain}]}],
            "clusters": [
                {
                    "name": "provider",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "provider",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": _address(provider)}}]}
                        ],
                    },
                }
            ],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Envoy:
    """An Envoy process; `url` is where it takes calls."""

    def __init__(self, binary: Path, folder: Path, provider: int) -> None:
        port, self._admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._access_log, self._log = folder / "access.log", folder / "envoy.log"
        config = folder / "envoy.json"
        config.write_text(json.dumps(_bootstrap(port, self._admin, provider, self._access_log)))
        command = [str(binary), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--file-flush-interval-msec", "50"], stdout=log, stderr=log
            )
        wait_until(self._is_ready, self._log.read_text)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return (
                httpx2.get(f"http://127.0.0.1:{self._admin}/ready").status_code == httpx2.codes.OK
            )
        except httpx2.TransportError:
            return False

    def lines(self, count: int) -> list[str]:
        """Return the lines of the access log, once there are so many."""
        wait_until(lambda: self._access_log.read_text().count("\n") >= count, self._log.read_text)
        return self._access_log.read_text().splitlines()

    def end(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.wait(timeout=_PATIENCE_SECONDS)
