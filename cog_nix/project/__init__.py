"""Where a project is, which of its files count, and what Git says of it."""
