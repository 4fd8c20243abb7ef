"""Replay: everything that is computed again from evidence.

Balances, explanations, verification: folds over the journal (and later over the archive), through
the same rules that the live engine uses. It never imports the live side.
"""
