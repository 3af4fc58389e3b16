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
  ociCompressesNoFilesOutsideOfTheStore = {
    expr = builtins.length (
      builtins.filter builtins.isNull (spec (image {
        weights = [
          {
            name = "weights";
            path = ./layers;
          }
        ];
      }).oci).blobs
    );
    expected = 2;
  };
  ociHasABlobForEachLayerButTheSource = {
    expr = builtins.filter builtins.isNull (spec (image { }).oci).blobs;
    expected = [ null ];
  };
}
