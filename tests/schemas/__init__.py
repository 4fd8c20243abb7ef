"""Schema evolution: what was written once is read for ever."""
