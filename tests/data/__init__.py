"""Data that others made, and readers for it (README.md: what, from where, under which licence)."""
