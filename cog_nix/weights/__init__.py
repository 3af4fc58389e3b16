"""Managed weights: what ``weights.lock`` says."""
