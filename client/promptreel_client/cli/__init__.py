"""The `promptreel` command: a thin, scriptable face of the client, and the door to the server."""
