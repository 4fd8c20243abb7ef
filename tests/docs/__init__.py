"""Tests of the documentation: commands are run, examples rated, references held to the code."""
