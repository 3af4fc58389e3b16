# Images as registries hold them.
{ derive, description, image, lock, spec, specOf, ... }:
let
  # Of two layers.
  oci = import ./oci.nix {
    inherit derive;
    blob = layer: "/blob-${layer.name}";
    description = description "final: prev: { }";
    image = "/image";
    held = import ./known.nix {
      description = description "final: prev: { }";
      distributions = [ ];
      results = [ ];
      python = "3.13.5";
      known = {
        layers = { };
        frozen = { };
      };
    };
  };
in
{
  ociCompressesTheProjectItself = {
    expr = removeAttrs (specOf oci) [ "keys" ];
    expected = {
      blobs = [ "/blob-base" "/blob-certificate" null ];
      image = "/image";
      tag = "cog-test:latest";
    };
  };
  ociTellsUnderWhatLayersAreKnown = {
    expr = (specOf oci).keys.layers;
    expected = [ "base" "certificate" null ];
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
