# Compressed layers.
{ derive, ... }:
let
  wheel = name: size: {
    inherit name;
    artifact = { inherit size; };
  };
  blob = import ./blob.nix {
    inherit derive;
    locked.wheels = [ (wheel "base" 67108863) (wheel "cudnn" 67108864) (wheel "torch" 800000000) ];
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
  blobsOfLargeWheelsAreMadeFirstAndTheLargestBeforeThem = {
    expr = map (name: blob "zstd" { inherit name; path = "/${name}"; }) [ "cudnn" "torch" ];
    expected = [
      "blob-big-5-cudnn: {\"compression\":\"zstd\",\"path\":\"/cudnn\"}"
      "blob-big-2-torch: {\"compression\":\"zstd\",\"path\":\"/torch\"}"
    ];
  };
}
