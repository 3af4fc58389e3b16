/*
  From a lock and a project to an image.

  Type: { lock, project, name, ... } -> derivation

  Example:
    import ./nix { lock = ./hello/cog-nix.lock; project = ./hello; name = "cog-hello"; }
    => «derivation /nix/store/…-cog-hello.drv», an executable that writes a Docker archive to stdout
*/
{
  # Path of cog-nix.lock.
  lock,
  # Path of the folder that becomes /src.
  project,
  # Name of the image in the store.
  name,
  # Reference that it is loaded under when nobody says otherwise.
  tag ? "${name}:latest",
  # Name of the configuration file in the project.
  config ? "cog.yaml",
  # Project files to take, as { "relative/path" = 1; }, folders included; null: all that .dockerignore leaves.
  included ? null,
  # Folder of the cog_nix Python package (its parts that read cog.yaml and signatures run in the build).
  core ? ../cog_nix,
  # Labels that only whoever builds knows: revision, version, annotations.
  labels ? { },
  # An OpenAPI document (JSON text) to use instead of the one read from source; "": read it.
  openapi ? "",
}:
let
  locked = import ./lock.nix lock;
  store = import ./store.nix;
  derive = import ./derive.nix {
    inherit core;
    seed = import ./seed.nix locked.seed;
    inherit (locked.seed) python;
  };
  args = { inherit derive store locked; };
  interpreter = import ./layers/interpreter.nix args;
  debs = import ./layers/debs.nix args;
  wheels = import ./layers/wheels.nix (args // { inherit interpreter debs; });
  source = import ./layers/source.nix (args // { inherit project config included openapi; });
  group = import ./layers/group.nix args;
in
import ./image.nix {
  inherit derive locked name tag labels source;
  layers = map (group (debs.fragments // wheels // interpreter.fragments // { source = null; })) locked.layers;
  distributions = builtins.attrValues wheels;
}
