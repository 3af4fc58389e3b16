/*
  What the dynamic linker has to know of wheels that bring parts of CUDA: they are not where it looks by itself.

  Type: { derive, store, locked } -> { wheels : { NAME = store path; } } -> [ store path ] -> { linker : store path; }

  Example:
    linker { inherit wheels; } debs.image
    => { linker = "/nix/store/…-linker"; }, a fragment; { } when no wheel brings any
*/
{ derive, locked, ... }:
{ wheels }:
# Fragments of the system below, later ones laid over earlier ones: the last one's cache is taken up.
lower:
let
  isNvidia = wheel: builtins.substring 0 7 wheel.name == "nvidia-";
  nvidia = builtins.filter isNvidia locked.wheels;
in
if nvidia == [ ] then
  { }
else
  {
    linker = "${derive {
      name = "linker";
      builder = "linker";
      spec = {
        inherit lower;
        wheels = map (wheel: wheels.${wheel.name}) nvidia;
      };
    }}";
  }
