"""Registries (OCI distribution-spec): references, credentials, and pushing an image without a daemon."""
