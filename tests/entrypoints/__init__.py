"""Tests of what a person or another program runs: commands, their output, their exit codes."""
