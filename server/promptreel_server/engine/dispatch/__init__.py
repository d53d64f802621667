"""Which process drives which media item, and the flags that stop it."""
