"""The Nix store: finding Nix, naming paths, adding files, realising derivations."""
