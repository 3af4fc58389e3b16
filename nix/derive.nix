/*
  Run one of the builders as a derivation. `beside` says how to run one without Nix.

  Type: { seed, start } -> { name, builder, spec, outputs, references, fixed } -> derivation

  Example:
    derive { name = "layer-python"; builder = "layer"; spec = { fragments = [ … ]; }; }
*/
{ seed, start }:
{
  inherit seed;

  /*
    How a builder is started by somebody else than Nix, who has to show it the store.

    Type: { builder, spec } -> { command : [ string ], environment : { NAME = string; }, spec }
  */
  beside =
    { builder, spec, ... }:
    let
      started = start builder;
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
      }
      // (
        if started ? COG_NIX_PLATFORM then { inherit (started) COG_NIX_PLATFORM; } else { }
      );
      inherit spec;
    };

  __functor =
    self: { builder, ... }@arguments: self.many builder (removeAttrs arguments [ "builder" ]);
  /*
    The same for what many derivations have in common: how they start is looked up once, not for each of them.
    Type: builder : string -> { name, spec, outputs, references, fixed } -> derivation
    Example:
      map (derive.many "wheel") [ { name = "a"; spec = { … }; } … ]
  */
  many =
    builder:
    let
      started = start builder;
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
