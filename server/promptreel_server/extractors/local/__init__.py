"""Field extraction offline, from evidence and a small language model."""
