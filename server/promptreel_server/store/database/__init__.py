"""One writer and many readers, on either database."""
