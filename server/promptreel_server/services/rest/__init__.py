"""What REST needs beyond the typed methods."""
