"""Managed weights on their way: from where they are published to the store, to the registry, and back."""
