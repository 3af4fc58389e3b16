/*
  A layer as registries hold it: compressed, with its digest.

  Type: { derive, ... } -> { name : string, path : store path } -> store path

  Example:
    blob { name = "python"; path = "/nix/store/…-layer-python"; }
    => "/nix/store/…-blob-python"
*/
{ derive, ... }:
{ name, path }:
"${derive {
  name = "blob-${name}";
  builder = "blob";
  modules = [ "stream" ];
  spec = { inherit path; };
}}"
