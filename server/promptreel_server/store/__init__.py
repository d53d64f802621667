"""Where runs are kept, and the news about them."""
