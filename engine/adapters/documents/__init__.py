"""Documents: the YAML and JSON that people write, parsed at the edge into frozen types.

A document that breaks a rule raises `InvalidFile`, which names every problem with its place, the
value and what was expected. Numbers keep their text on the way in, so a price is never a float.
"""
