/*
  Fragments of the wheels, one each. What comes as source is built to a wheel first, in a derivation of its own.

  Type: { derive, store, locked, interpreter, debs, toolkit } -> { NAME = store path; }
*/
{
  derive,
  store,
  locked,
  interpreter,
  debs,
  # What of a compiler for GPUs the build of a source sees.
  toolkit,
}:
let
  # The file to install: the locked one, or a folder with the one that is built from it.
  wheelOf = wheel: if wheel ? source then built wheel else "${store.file wheel.artifact}";

  # What all builds have in common: the system with compilers, and the project's Python.
  root = "${derive {
    name = "build-root";
    builder = "root";
    spec.lower = debs.build ++ builtins.attrValues interpreter.fragments;
  }}";

  built =
    { source, ... }@wheel:
    let
      seen = toolkit.build source;
    in
    "${derive {
      name = store.name "${wheel.name}-${wheel.version}-built";
      builder = "sdist";
      spec = {
        inherit (wheel) name version depends;
        inherit (source) subdirectory;
        python = interpreter.minor;
        archive = "${store.file wheel.artifact}";
        inherit root;
        sees = map (name: fragments.${name}) source.sees ++ seen.fragments;
        requires = map (required: {
          inherit (required.artifact) filename;
          path = wheelOf required;
        }) source.requires;
      }
      // (if seen.fragments == [ ] then { } else { inherit (seen) programs environment; });
    }}";

  install = derive.many "wheel";

  # Nix begins what is ready in the order of names. What takes longest must not be what is begun last.
  large = 64 * 1024 * 1024;

  fragment = wheel: {
    inherit (wheel) name;
    value = "${install {
      name = store.name "${
        if wheel.artifact.size >= large then "big-" else ""
      }${wheel.name}-${wheel.version}";
      spec = {
        wheel = wheelOf wheel;
        inherit (wheel.artifact) filename;
        python = interpreter.minor;
        inherit (interpreter) tree headers;
      }
      // (if wheel ? origin then { inherit (wheel) origin; } else { });
    }}";
  };

  fragments = builtins.listToAttrs (map fragment locked.wheels);
in
fragments
