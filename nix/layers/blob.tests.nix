# Compressed layers.
{ derive, ... }:
let
  blob = import ./blob.nix { inherit derive; };
in
{
  blobIsMadeOfALayer = {
    expr = blob {
      name = "base";
      path = "/base";
    };
    expected = "blob-base: {\"path\":\"/base\"}";
  };
}
