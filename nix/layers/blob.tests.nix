# Compressed layers.
{ derive, ... }:
let
  wheel = name: size: {
    inherit name;
    artifact = { inherit size; };
  };
  blob = import ./blob.nix {
    inherit derive;
    locked.wheels = [ (wheel "base" 67108863) (wheel "cudnn" 67108864) ];
  };
in
{
  blobIsMadeOfALayer = {
    expr = blob "gzip" {
      name = "base";
      path = "/base";
    };
    expected = "blob-base: {\"compression\":\"gzip\",\"path\":\"/base\"}";
  };
  blobsOfLargeWheelsAreMadeFirst = {
    expr = blob "zstd" {
      name = "cudnn";
      path = "/cudnn";
    };
    expected = "blob-big-cudnn: {\"compression\":\"zstd\",\"path\":\"/cudnn\"}";
  };
}
