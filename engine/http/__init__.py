"""HTTP: usage taken in, and balances told, for gateways that do not speak Kafka.

This package owns what stands between a request and the `usage` topic: who may send (`keys`), how much
(`rate`), what a body is (`reading`), what becomes of each record of it (`intake`), and that it is in
Kafka before it is acknowledged (`kafka_sink`, behind `ports.UsageSink`). It also answers what a gateway
asks before a call: the newest balance of an account, from memory (`balances`).

Invariants. A 202 says that Kafka holds every accepted event; whatever else is answered, sending the
same again is safe, because the identity of an event does not depend on how often it was sent. A key
reports usage of its own source and its own accounts only. Errors are problem documents (RFC 9457).

It is no second engine: nothing is rated, deduplicated or stored here, and any number of these
processes may run side by side.
"""
