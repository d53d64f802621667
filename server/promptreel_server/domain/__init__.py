"""What runs are made of: frozen, keyword-only, without I/O."""
