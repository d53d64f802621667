"""The server: contract, engine, models, store."""
