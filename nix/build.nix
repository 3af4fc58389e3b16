/*
  What `cog-nix build` evaluates: default.nix with its arguments from a JSON file. With `oci` the image as
  registries hold it; with `keys` what its layers are known by (known.nix); with `packages` its Nix packages.

  Type: { spec : string } -> derivation | attrset | [ derivation ]
*/
{ spec }:
let
  args = builtins.fromJSON (builtins.readFile spec);
  oci = args.oci or false;
  image = import ./default.nix (
    removeAttrs args [ "oci" "keys" "packages" ]
    // {
      weights = map (layer: layer // { path = /. + layer.path; }) (args.weights or [ ]);
      lock = /. + args.lock;
      project = /. + args.project;
      core = /. + args.core;
    }
  );
in
if args.keys or false then
  image.keys
else if args.packages or false then
  image.packages
else if oci then
  image.oci
else
  image
