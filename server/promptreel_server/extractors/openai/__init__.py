"""Field extraction by an OpenAI-compatible server."""
