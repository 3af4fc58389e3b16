"""From a project folder to an image in the store: the story, and what each build remembers for the next."""
