"""One media item from cutting to synthesis, and one retry."""
