"""The LiteLLM callback, in the real litellm and its real proxy, against a fake provider."""
