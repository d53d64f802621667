"""Keys, secrets and idempotency."""
