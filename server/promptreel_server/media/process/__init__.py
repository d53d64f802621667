"""Child processes that decode, and their limits."""
