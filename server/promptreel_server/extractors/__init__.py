"""Field extraction and synthesis through models."""
