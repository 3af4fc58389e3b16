"""What an image consists of: by layer, by package, by who asked for it."""
