"""Managed weights: what ``weights.lock`` says, how layers are packed, and the store of files on this machine."""
