/*
  What commands left behind, one fixed output each.

  cog-nix runs commands beside Nix, adds what they leave to the store by its hash, and writes that into the lock.
  `invocation` tells it how. Where the store lacks a result and nobody runs cog-nix, as in a plain `nix build`, Nix runs
  the command, without secrets, and it must give the recorded hash.

  Type: { derive, store, locked, interpreter, debs, toolkit, wheels, linker, environment, command } -> { results : [ derivation ], invocation : derivation, fragments : [ store path ] }
*/
{
  derive,
  locked,
  interpreter,
  debs,
  # What of a compiler for GPUs commands see.
  toolkit,
  wheels,
  # Fragments with what the dynamic linker has to know of wheels.
  linker ? [ ],
  # Variables that the project sets.
  environment ? [ ],
  # The command that `invocation` is about, after those that the lock has results of.
  command ? null,
  ...
}:
let
  build = builtins.filter (fragment: !(builtins.elem fragment debs.image)) debs.build;
  archives = map (index: [
    index.uri
    index.suite
    index.component
  ]) locked.indexes;

  builder =
    results: command: {
      name = "run";
      builder = "run";
      spec = {
        inherit command archives results;
        environment = toolkit.commands.environment ++ locked.environment ++ environment;
        lower = debs.image ++ builtins.attrValues interpreter.fragments ++ map (wheel: wheels.${wheel.name}) locked.wheels ++ linker;
        tools = build ++ toolkit.commands.fragments;
        python = interpreter.minor;
        inherit (interpreter) tree;
      }
      // (
        if toolkit.commands.programs == [ ] then { } else { inherit (toolkit.commands) programs; }
      );
    };

  # Each runs on top of all before it.
  results = builtins.foldl' (
    done: one:
    done
    ++ [ (derive (builder (map (result: "${result}") done) one.command // { fixed = one.nar_sha256; })) ]
  ) [ ] locked.runs;
in
{
  inherit results;
  # A file that says how the builder is started, with all that it needs in the store.
  invocation = derive {
    name = "run-invocation";
    builder = "invocation";
    spec = derive.beside (builder (map (result: "${result}") results) command);
  };
  # A fixed output cannot say where it is, as a layer's description does.
  fragments = builtins.genList (
    index:
    "${derive {
      name = "layer-run-${toString index}";
      builder = "layer";
      spec = {
        name = "run-${toString index}";
        fragments = [ "${builtins.elemAt results index}" ];
      };
    }}"
  ) (builtins.length locked.runs);
}
