"""Avro: every record of every stream to bytes and back, in single-object encoding.

`wire` frames and unframes; the other modules translate between decoded fields and the frozen types
of `engine.rating`. Money and metered quantities travel as decimal(38,12), which is the pico integer
in big-endian two's complement.
"""
