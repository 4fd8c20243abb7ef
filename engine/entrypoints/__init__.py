"""Entry points: the only place that wires, and the only one that may import replay."""
