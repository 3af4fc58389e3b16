/*
  The image as registries hold it: an OCI image layout whose blobs are links into the store.

  Type: { derive, blob, description, image, held } -> derivation

  Example:
    import ./oci.nix { inherit derive blob description image held; }
    => «derivation /nix/store/…-cog-hello-oci.drv»
*/
{
  derive,
  blob,
  description,
  image,
  # known.nix
  held,
}:
derive {
  name = "${description.name}-oci";
  builder = "oci";
  spec = {
    inherit (description) tag;
    image = "${image}";
    # The project's own layer changes at every edit and is small: it gets no derivation of its own. Neither do layers
    # whose files are outside of the store: registries get them as they are.
    blobs = map (held.blob blob) description.layers;
    inherit (held) keys;
  };
}
