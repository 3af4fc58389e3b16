"""From an image to a prediction: start it, wait until it is ready, send inputs, present outputs.

Nothing here knows Docker (that is a plugin behind :class:`cog_nix.plugins.spec.Runtime`) and nothing prints.
"""
