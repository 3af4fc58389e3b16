/*
  What commands left behind, one fixed output each.

  The first time nobody knows what comes out: cog-nix runs a command under a hash that cannot be right (`unknown`),
  and writes down the one that Nix found. After that the store has the result, or the command must make it again.

  Type: { derive, store, locked, interpreter, debs, toolkit, wheels, linker, environment, unknown, offer } -> { results : [ derivation ], fragments : { "run:0" = store path; … } }
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
  # The command to run after those that the lock has results of, as { command, hash }; null: none.
  unknown ? null,
  # Name of the socket where cog-nix hands over secrets and proxies; "": nobody does.
  offer ? "",
  ...
}:
let
  build = builtins.filter (fragment: !(builtins.elem fragment debs.image)) debs.build;
  archives = map (index: [
    index.uri
    index.suite
    index.component
  ]) locked.indexes;

  run =
    results: command: hash:
    derive {
      name = "run";
      builder = "run";
      modules = [
        "archive"
        "bytecode"
        "changes"
        "compiling"
        "deb"
        "handover"
        "installed"
        "listing"
        "namespace"
        "overlay"
        "ownership"
        "places"
        "python_tree"
        "supervise"
        "tidy"
        "unpack"
      ];
      withCore = true;
      fixed = hash;
      spec = {
        inherit command archives offer results;
        environment = toolkit.commands.environment ++ locked.environment ++ environment;
        lower = debs.image ++ builtins.attrValues interpreter.fragments ++ builtins.attrValues wheels ++ linker;
        tools = build ++ toolkit.commands.fragments;
        python = interpreter.minor;
        inherit (interpreter) tree;
      }
      // (
        if toolkit.commands.programs == [ ] then { } else { inherit (toolkit.commands) programs; }
      );
    };

  commands =
    map (result: {
      inherit (result) command;
      hash = result.nar_sha256;
    }) locked.runs
    ++ (if unknown == null then [ ] else [ unknown ]);
  # Each runs on top of all before it.
  results = builtins.foldl' (
    done: one: done ++ [ (run (map (result: "${result}") done) one.command one.hash) ]
  ) [ ] commands;
in
{
  inherit results;
  fragments = builtins.listToAttrs (
    builtins.genList (index: {
      name = "run:${toString index}";
      # A fixed output cannot say where it is, as a layer's description does.
      value = "${derive {
        name = "layer-run-${toString index}";
        builder = "layer";
        modules = [ "archive" ];
        spec = {
          name = "run-${toString index}";
          fragments = [ "${builtins.elemAt results index}" ];
        };
      }}";
    }) (builtins.length locked.runs)
  );
}
