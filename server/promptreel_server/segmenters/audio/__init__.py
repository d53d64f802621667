"""Signals that are heard."""
