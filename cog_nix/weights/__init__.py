"""Managed weights: what ``weights.lock`` says, how layers are packed, the store of files on this machine."""
