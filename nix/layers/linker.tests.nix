# What the dynamic linker knows of wheels.
{ derive, specOf, wheel, ... }:
let
  linkerOf =
    names:
    import ./linker.nix {
      inherit derive;
      locked.wheels = map wheel names;
    } { wheels = builtins.listToAttrs (map (name: { inherit name; value = "/${name}"; }) names); };
in
{
  linkerReadsWhatNvidiaMakes = {
    expr = specOf (linkerOf [ "nvidia-cublas" "torch" ] [ "/system" ]).linker;
    expected = {
      lower = [ "/system" ];
      wheels = [ "/nvidia-cublas" ];
    };
  };
  linkerIsNotThereWithoutAny = {
    expr = linkerOf [ "torch" ] [ "/system" ];
    expected = { };
  };
}
