/*
  What an image is for, by its names for everybody; null where that is what builders run on.

  Type: { core : path, platform : string } -> attrset | null

  Example:
    import ./platform.nix { core = ../cog_nix; platform = "linux/arm64"; }
    => { architecture = "arm64"; debian = "arm64"; triplet = "aarch64-linux-gnu"; nix_system = "aarch64-linux"; … }
*/
{ core, platform }:
let
  known = builtins.fromJSON (builtins.readFile (core + "/system/platforms.json"));
in
if platform == "linux/amd64" then
  null
else
  known.${platform}
    or (throw "Images can be made for ${builtins.concatStringsSep " and " (builtins.attrNames known)}, not for ${platform}.")
