"""From a configuration to a lock, in stages."""
