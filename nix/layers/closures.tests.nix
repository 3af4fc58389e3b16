# Nix packages.
{ derive, fails, ... }:
let
  closures = import ./closures.nix { inherit derive; };
  zeros32 = "00000000000000000000000000000000";
in
{
  closuresAreALayerEach = {
    expr = map (layer: layer.name) (closures [
      (builtins.derivation {
        name = "tool-1.0";
        system = "x86_64-linux";
        builder = "/none";
      })
      "/nix/store/${zeros32}-greetings"
    ]);
    expected = [ "nix-tool-1.0" "nix-greetings" ];
  };
  closuresLeaveOutWhatIsBelow = {
    expr = (builtins.elemAt (closures [ "/nix/store/${zeros32}-a" "/nix/store/${zeros32}-b" ]) 1).path;
    expected = "nix-b: {\"below\":1,\"package\":\"/nix/store/${zeros32}-b\"}";
  };
  closuresOfWhatIsNoPackage = {
    expr = fails (closures [ 1 ]);
    expected = true;
  };
}
