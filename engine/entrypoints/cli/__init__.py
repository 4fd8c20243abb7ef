"""The `tollbook` command: one module per group of commands, data on stdout, messages on stderr."""
