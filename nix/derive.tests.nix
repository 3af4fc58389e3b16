# Builders as derivations, and without Nix.
{ wrong, realDerive, ... }:
{
  builderBesideNixIsTheSame = {
    expr =
      let
        arguments = {
          name = "x";
          builder = "folder";
          spec.a = 1;
        };
        told = realDerive.beside arguments;
        made = realDerive arguments;
      in
      [
        (told.command == [ made.builder ] ++ made.args)
        (told.environment.PYTHONPATH == made.PYTHONPATH)
        told.spec
      ];
    expected = [
      true
      true
      { a = 1; }
    ];
  };
  deriveFixesAnOutput = {
    expr =
      let
        drv = realDerive {
          name = "fixed";
          builder = "folder";
          spec = { };
          fixed = wrong;
        };
      in
      [
        drv.outputHash
        drv.outputHashMode
      ];
    expected = [
      wrong
      "recursive"
    ];
  };
}
