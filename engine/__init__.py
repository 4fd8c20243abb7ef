"""Tollbook's engine: usage events in, exact charges out.

Importing this package loads nothing else, so that a gateway or the compiled kernel never pays for
an adapter it does not use. `engine.rating` is the specification; `engine.stream` runs it on Kafka.
"""
