"""What a prompt's schema may ask for, and whether an answer meets it."""
