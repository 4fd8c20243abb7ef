"""What instrumentations call one fact: the conventions of OpenTelemetry over time, and those beside them.

A fact is a list of attribute names. The conventions' own come first, then what others write: OpenLLMetry
(`llm.request.type`, capitals), OpenInference (`llm.token_count.*`), Vercel's AI SDK (`ai.usage.*`),
pydantic-ai (`gen_ai.usage.details.*`), Sentry and OpenRouter (`gen_ai.usage.input_tokens.cached`), Semantic
Kernel, LiteLLM (its call types as operations). In all of them the input includes what came from and went
to the cache and the output includes reasoning, but for two that `otel` knows.
"""

from collections.abc import Mapping

INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "gen_ai.response.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
    "decision.token_count.input",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "gen_ai.response.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
    "decision.token_count.output",
)
TOTAL = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
    "ai.usage.totalTokens",
)
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.details.cached_tokens",
    "gen_ai.usage.details.cached_content_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "ai.usage.cachedInputTokens",
)
CACHE_WRITTEN = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.details.reasoning_tokens",
    "gen_ai.usage.details.thoughts_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.outputTokenDetails.reasoningTokens",
    "ai.usage.reasoningTokens",
)
AUDIO_INPUT = (
    "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.details.input_audio_tokens",
    "llm.token_count.prompt_details.audio",
)
CACHED_AUDIO = (
    "gen_ai.usage.audio.cache_read.input_tokens",
    "gen_ai.usage.details.cache_audio_read_tokens",
)
AUDIO_OUTPUT = (
    "gen_ai.usage.audio.output_tokens",
    "gen_ai.usage.details.output_audio_tokens",
    "llm.token_count.completion_details.audio",
)
MODEL = (
    "gen_ai.response.model",
    "ai.response.model",
    "llm.response.model",
    "gen_ai.request.model",
    "llm.request.model",
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
    "ai.model.id",
)
PROVIDER = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "llm.vendor",
    "ai.model.provider",
    "decision.provider",
)
RESPONSE_ID = (
    "gen_ai.response.id",
    "ai.response.id",
    "llm.response.id",
    "gcp.vertex.agent.event_id",
)
"""The last is of Google's ADK, which tells one call in two spans (`call_llm`, `generate_content`)."""
SERVICE_TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
OPERATION = (
    "gen_ai.operation.name",
    "ai.operationId",
    "llm.request.type",
    "openinference.span.kind",
    "gen_ai.span.kind",
    "traceloop.span.kind",
    "langfuse.observation.type",
)

USAGE_PREFIXES = (
    "gen_ai.usage.",
    "gen_ai.response.prompt_tokens",
    "gen_ai.response.completion_tokens",
    "llm.usage.",
    "llm.token_count.",
    "ai.usage.",
    "decision.token_count.",
    "langfuse.observation.usage_details",
    "mlflow.chat.tokenUsage",
)
"""Names by which a span tells usage, also those that are not read: these are `unexplained`."""

MARKS = (*USAGE_PREFIXES, "gen_ai.", "openinference.", "ai.operationId")
"""Names by which bare attributes are known to be of a model."""

SURROUNDS = ""
"""The operation of a span that surrounds model calls, which have spans of their own."""

OPERATIONS: Mapping[str, str] = {
    "chat": "chat",
    "chat.completions": "chat",
    "chat.streaming_completions": "chat",
    "generate_content": "chat",
    "generate_content_stream": "chat",
    "responses": "chat",
    "response": "chat",
    "messages": "chat",
    "message": "chat",
    "anthropic_messages": "chat",
    "converse": "chat",
    "converse_stream": "chat",
    "invoke_model": "chat",
    "acompletion": "chat",
    "realtime": "chat",
    "pass_through_endpoint": "chat",
    "llm": "chat",
    "generation": "chat",
    "decision": "chat",
    "completion": "completion",
    "text_completion": "completion",
    "text.completions": "completion",
    "embeddings": "embedding",
    "embedding": "embedding",
    "image_generation": "image",
    "image_edit": "image",
    "image_variation": "image",
    "transcription": "audio",
    "speech": "audio",
    "rerank": "rerank",
    "reranker": "rerank",
    "ai.generatetext.dogenerate": "chat",
    "ai.generateobject.dogenerate": "chat",
    "ai.streamtext.dostream": "chat",
    "ai.streamobject.dostream": "chat",
    "ai.embed.doembed": "embedding",
    "ai.embedmany.doembed": "embedding",
    "ai.rerank.dorerank": "rerank",
    "ai.generatetext": SURROUNDS,
    "ai.generateobject": SURROUNDS,
    "ai.streamtext": SURROUNDS,
    "ai.streamobject": SURROUNDS,
    "ai.embed": SURROUNDS,
    "ai.embedmany": SURROUNDS,
    "ai.rerank": SURROUNDS,
    "ai.toolcall": SURROUNDS,
    "invoke_agent": SURROUNDS,
    "create_agent": SURROUNDS,
    "invoke_workflow": SURROUNDS,
    "execute_tool": SURROUNDS,
    "agent": SURROUNDS,
    "chain": SURROUNDS,
    "workflow": SURROUNDS,
    "task": SURROUNDS,
    "tool": SURROUNDS,
    "retriever": SURROUNDS,
    "retrieval": SURROUNDS,
}
"""Of conventions, kinds of spans and LiteLLM's call types (also with the `a` of its asynchronous ones)."""

NO_OPERATION = ("unknown", "span", "")
"""What says no more than if nothing was said."""

_SUFFIXES = (".chat", ".responses", ".messages", ".completion", ".embedding", ".image")
"""Of Vercel's providers: the interface that was called."""

_PROVIDERS: Mapping[str, str] = {
    "aws.bedrock": "bedrock",
    "aws_bedrock": "bedrock",
    "amazon-bedrock": "bedrock",
    "aws": "bedrock",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "azure-openai": "azure",
    "azure_openai": "azure",
    "azure.ai.inference": "azure_ai",
    "az.ai.inference": "azure_ai",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "google": "gemini",
    "google.generative-ai": "gemini",
    "google-gla": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "gcp.vertex.agent": "vertex_ai",
    "google.vertex": "vertex_ai",
    "google-vertex": "vertex_ai",
    "vertex.anthropic": "vertex_ai",
    "vertexai": "vertex_ai",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "xai",
    "ibm.watsonx.ai": "watsonx",
    "moonshot_ai": "moonshot",
    "together": "together_ai",
    "togetherai": "together_ai",
    "fireworks": "fireworks_ai",
    "alephalpha": "aleph_alpha",
}


def provider_named(text: str) -> str:
    """Return a provider as price lists spell it: in small letters, without the interface called."""
    name = text.lower()
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return _PROVIDERS.get(name, name)
