"""What looks over a large store cost."""
