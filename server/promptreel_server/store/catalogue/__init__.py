"""What exists apart from runs."""
