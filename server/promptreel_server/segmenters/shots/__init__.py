"""Signals that are seen."""
