"""What was found out about a medium once."""
