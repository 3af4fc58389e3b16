"""Bills of materials: what is in an image, where it came from, under which licence, and who asked for it."""
