"""Tables, migrations and how statements are made."""
