"""Bytes into the library and out of it."""
