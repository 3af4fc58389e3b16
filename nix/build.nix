/*
  What `cog-nix build` evaluates: default.nix with its arguments from a JSON file. With `oci` the image as
  registries hold it.

  Type: { spec : string } -> derivation
*/
{ spec }:
let
  args = builtins.fromJSON (builtins.readFile spec);
  oci = args.oci or false;
  image = import ./default.nix (
    removeAttrs args [ "oci" ]
    // {
      weights = map (layer: layer // { path = /. + layer.path; }) (args.weights or [ ]);
      lock = /. + args.lock;
      project = /. + args.project;
      core = /. + args.core;
    }
  );
in
if oci then image.oci else image
