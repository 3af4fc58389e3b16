"""The hook specifications, the manager that calls them, and what stands in where no plugin answers."""
