/*
  What `cog-nix build` evaluates: default.nix with its arguments from a JSON file.

  Type: { spec : string } -> derivation
*/
{ spec }:
let
  args = builtins.fromJSON (builtins.readFile spec);
in
import ./default.nix (
  args
  // {
    lock = /. + args.lock;
    project = /. + args.project;
    core = /. + args.core;
  }
)
