"""Runs, what they did and what they yielded."""
