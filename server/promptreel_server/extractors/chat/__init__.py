"""What all chat models share."""
