"""Watches and server-sent events."""
