"""What is deleted together with what."""
