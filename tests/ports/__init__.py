"""One contract, two adapters: what the stream may rely on, in memory and on a real Kafka."""
