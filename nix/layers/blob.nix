/*
  A layer as registries hold it: compressed, with its digest.

  Type: { derive, ... } -> compression : string -> { name : string, path : store path } -> store path

  Example:
    blob "gzip" { name = "python"; path = "/nix/store/…-layer-python"; }
    => "/nix/store/…-blob-python"
*/
{ derive, ... }:
let
  compress = derive.many "blob";
in
compression:
{ name, path }:
"${compress {
  name = "blob-${name}";
  spec = { inherit path compression; };
}}"
