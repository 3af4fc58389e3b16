# Links over files of wheels.
{ cuda, derive, file, locked, specOf, store, ... }:
let
  symlinks =
    locked:
    import ./symlinks.nix {
      inherit derive store locked;
      interpreter.minor = "3.13";
    };
in
{
  symlinksAreOneFragmentAWheel = {
    expr = builtins.mapAttrs (_name: specOf) (
      symlinks (import ../lock.nix { platform = "linux/amd64"; } (file cuda))
    );
    expected.torch = {
      name = "torch";
      python = "3.13";
      links = [ [ "torch/lib.so" "torch/lib.so.1" ] ];
    };
  };
  symlinksAreNoneInMostLocks = {
    expr = symlinks locked;
    expected = { };
  };
}
