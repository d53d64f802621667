"""Image embedding."""
