"""The way into every method and out of it."""
