"""A request becomes a frozen run, a retry or an estimate."""
