"""Tests of what runs inside a gateway."""
