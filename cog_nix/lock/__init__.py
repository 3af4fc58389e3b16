"""The lock: what an image is made from, pinned; resolving it, writing it, reading it."""
