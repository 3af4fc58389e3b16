# Compressed layers.
{ derive, ... }:
let
  blob = import ./blob.nix { inherit derive; };
in
{
  blobIsMadeOfALayer = {
    expr = blob "gzip" {
      name = "base";
      path = "/base";
    };
    expected = "blob-base: {\"compression\":\"gzip\",\"path\":\"/base\"}";
  };
}
