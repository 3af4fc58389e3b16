/*
  A layer as registries hold it: compressed, with its digest.

  Type: { derive, locked, ... } -> compression : string -> { name : string, path : store path } -> store path

  Example:
    blob "gzip" { name = "python"; path = "/nix/store/…-layer-python"; }
    => "/nix/store/…-blob-python"
*/
{ derive, locked, ... }:
let
  compress = derive.many "blob";

  # As in wheels.nix: what is compressed last is sent last, while nothing else is done, so it must be small.
  large = map (wheel: wheel.name) (
    builtins.filter (wheel: wheel.artifact.size >= 64 * 1024 * 1024) locked.wheels
  );
in
compression:
{ name, path }:
"${compress {
  name = "blob-${if builtins.elem name large then "big-" else ""}${name}";
  spec = { inherit path compression; };
}}"
