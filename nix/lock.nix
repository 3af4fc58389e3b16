/*
  Read a lock.

  Type: path -> attrset

  Example:
    (import ./lock.nix ./cog-nix.lock).interpreter.version
    => "3.13.5"
*/
path:
let
  lock = builtins.fromJSON (builtins.readFile path);
in
if lock.version or 0 == 1 then
  lock
else
  throw ''
    ${toString path} has format version ${toString (lock.version or "unknown")}; this cog-nix reads version 1.
    Run "cog-nix lock" to write it anew, or install the cog-nix that wrote it.''
