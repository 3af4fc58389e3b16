# Single files.
{ derive, locked, zeros, ... }:
let
  store = import ../store.nix;
  files =
    referenced:
    import ./files.nix {
      inherit derive store;
      locked = locked // { files = referenced; };
    };
  placed = size: to: {
    file = toString ./files.nix;
    sha256 = builtins.hashFile "sha256" ./files.nix;
    inherit size to;
  };
  fetched = {
    path = "/opt/unet.pth";
    url = "https://example.org/unet.pth";
    sha256 = zeros;
    size = 20000000;
  };
in
{
  filesBySize = {
    expr = builtins.length (files [ ] [
      (placed 1 "/a")
      (placed 20000000 "/b")
      (placed 2 "/c")
    ]);
    expected = 2;
  };
  filesInAnyOrder = {
    expr = files [ ] [
      (placed 1 "/a")
      (placed 2 "/c")
    ];
    expected = files [ ] [
      (placed 2 "/c")
      (placed 1 "/a")
    ];
  };
  filesInGreatNumber = {
    expr = builtins.length (files [ ] (builtins.genList (number: placed 20000000 "/m/${toString number}") 100)) <= 16;
    expected = true;
  };
  filesOfTheLock = {
    expr = map (layer: layer.name) (files [ fetched ] [ ]);
    expected = [ "weights" ];
  };
  filesOfAHub = {
    expr = files [ (fetched // { url = "hf://org/repo@main/unet.pth"; }) ] [ ] == files [ fetched ] [ ];
    expected = true;
  };
  filesThatAreMountedAreNoLayer = {
    expr = files [
      (fetched // { mount = true; })
      (fetched // { path = "unet.pth"; })
    ] [ ];
    expected = [ ];
  };
}
