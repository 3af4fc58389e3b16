/*
  A layer as registries hold it: compressed, with its digest.

  Type: { derive, ... } -> { name : string, path : store path } -> store path

  Example:
    blob { name = "python"; path = "/nix/store/…-layer-python"; }
    => "/nix/store/…-blob-python"
*/
{ derive, ... }:
let
  compress = derive.many "blob";
in
{ name, path }:
"${compress {
  name = "blob-${name}";
  spec = { inherit path; };
}}"
