"""Two images, or two locks, side by side; and an image beside what its lock makes in a store of its own."""
