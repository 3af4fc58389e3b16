/*
  The image as registries hold it: an OCI image layout whose blobs are links into the store.

  Type: { derive, blob, description, image, held, compression } -> derivation

  Example:
    import ./oci.nix { inherit derive blob description image held; compression = "gzip"; }
    => «derivation /nix/store/…-cog-hello-oci.drv»
*/
{
  derive,
  blob,
  description,
  image,
  # known.nix
  held,
  # gzip, zstd, zstd:chunked or none.
  compression,
}:
derive {
  name = "${description.name}-oci";
  builder = "oci";
  spec = {
    inherit (description) tag;
    inherit compression;
    image = "${image}";
    # The project's own layer changes at every edit and is small: it gets no derivation of its own. Neither do layers
    # whose files are outside of the store: registries get them as they are.
    blobs = map (held.blob (layer: blob compression { inherit (layer) name path; })) description.layers;
    inherit (held) keys;
  };
}
