"""Adapters: each one connects a port of `engine.ports`, or a wire format, to something real."""
