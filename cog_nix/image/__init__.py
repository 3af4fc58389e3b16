"""What an image is: its description, the archives that hold it, and archives that leave layers out."""
