"""Concurrency, retries and reuse of model calls."""
