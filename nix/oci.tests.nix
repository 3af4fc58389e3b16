# Images as registries hold them.
{ derive, description, image, lock, spec, ... }:
let
  # Of two layers.
  oci = import ./oci.nix {
    inherit derive;
    blob = layer: "/blob-${layer.name}";
    description = description "final: prev: { }";
    image = "/image";
  };
in
{
  ociCompressesTheProjectItself = {
    expr = oci;
    expected = "cog-test-oci: ${
      builtins.toJSON {
        blobs = [ "/blob-base" "/blob-certificate" null ];
        image = "/image";
        tag = "cog-test:latest";
      }
    }";
  };
  ociHasABlobForEachLayer = {
    expr = builtins.length (spec (image { }).oci).blobs;
    expected = builtins.length lock.layers;
  };
  ociHasABlobForEachLayerButTheSource = {
    expr = builtins.filter builtins.isNull (spec (image { }).oci).blobs;
    expected = [ null ];
  };
}
