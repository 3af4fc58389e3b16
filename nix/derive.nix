/*
  Run one of the builders as a derivation. `beside` says how to run one without Nix.

  Type: { seed, start } -> { name, builder, spec, modules, outputs, references, withCore, fixed } -> derivation

  Example:
    derive { name = "layer-python"; builder = "layer"; spec = { fragments = [ … ]; }; }
*/
{ seed, start }:
{
  inherit seed;

  /*
    How a builder is started by somebody else than Nix, who has to show it the store.

    Type: { builder, spec, modules, withCore } -> { command : [ string ], environment : { NAME = string; }, spec }
  */
  beside =
    arguments:
    let
      started = start arguments;
    in
    {
      command = [ started.builder ] ++ started.args;
      environment = {
        inherit (started)
          LC_ALL
          PYTHONHASHSEED
          PYTHONPATH
          PYTHONUTF8
          TZ
          ;
      };
      inherit (arguments) spec;
    };

  __functor =
    self:
    {
      builder,
      modules ? [ ],
      withCore ? false,
      ...
    }@arguments:
    self.many { inherit builder modules withCore; } (
      removeAttrs arguments [
        "builder"
        "modules"
        "withCore"
      ]
    );
  /*
    The same for what many derivations have in common: how they start is looked up once, not for each of them.
    Type: { builder, modules, withCore } -> { name, spec, outputs, references, fixed } -> derivation
    Example:
      map (derive.many { builder = "wheel"; modules = [ "archive" ]; }) [ { name = "a"; spec = { … }; } … ]
  */
  many =
    common:
    let
      started = start common;
    in
    {
      name,
      spec,
      outputs ? [ "out" ],
      # Derivations whose closures the builder is told of, in the files references-0, references-1, …
      references ? [ ],
      # SRI hash of what comes out, when that is known: such a build has the network (Nix manual, "Fixed-output
      # derivations").
      fixed ? null,
    }:
    derivation (
      started
      // {
        inherit name outputs;
        spec = builtins.toJSON spec;
        passAsFile = [ "spec" ];
      }
      // (
        if references == [ ] then
          { }
        else
          {
            exportReferencesGraph = builtins.concatLists (
              builtins.genList (index: [
                "references-${toString index}"
                (builtins.elemAt references index)
              ]) (builtins.length references)
            );
          }
      )
      // (
        if fixed == null then
          { }
        else
          {
            outputHashMode = "recursive";
            outputHash = fixed;
          }
      )
    );
}
