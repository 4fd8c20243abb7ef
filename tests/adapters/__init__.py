"""Tests of the adapters, each against the real thing that it connects."""
