/*
  One command that the lock has no result of yet, on top of all that it has.

  Type: { spec : string } -> derivation
*/
{ spec }:
let
  args = builtins.fromJSON (builtins.readFile spec);
  locked = import ./lock.nix (/. + args.lock);
  store = import ./store.nix;
  derive = import ./derive.nix {
    core = /. + args.core;
    seed = import ./seed.nix locked.seed;
    inherit (locked.seed) python;
  };
  shared = { inherit derive store locked; };
  interpreter = import ./layers/interpreter.nix shared;
  runs = import ./layers/runs.nix (
    shared
    // {
      inherit interpreter;
      inherit (args) environment unknown offer;
      debs = import ./layers/debs.nix shared;
      wheels = import ./layers/wheels.nix (shared // { inherit interpreter; });
    }
  );
in
builtins.elemAt runs.results (builtins.length locked.runs)
