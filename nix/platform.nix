/*
  What an image is for, or builders run on, by its names for everybody.

  Type: { core : path, platform : string } -> attrset

  Example:
    import ./platform.nix { core = ../cog_nix; platform = "linux/arm64"; }
    => { architecture = "arm64"; debian = "arm64"; triplet = "aarch64-linux-gnu"; nix_system = "aarch64-linux"; … }
*/
{ core, platform }:
let
  known = builtins.fromJSON (builtins.readFile (core + "/system/platforms.json"));
in
known.${platform}
  or (throw "Images can be made for ${builtins.concatStringsSep " and " (builtins.attrNames known)}, not for ${platform}.")
