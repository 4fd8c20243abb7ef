"""Tests of the specification, one module each; `scenario` is the language they speak."""
