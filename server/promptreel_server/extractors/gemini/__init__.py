"""Field extraction by Gemini."""
