"""Golden cases: what a charge must be, in files that finance can read."""
