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
  sizes = map (factor: factor * 64 * 1024 * 1024) [ 1 2 4 8 16 32 ];
  rank = wheel: builtins.length (builtins.filter (size: wheel.artifact.size < size) sizes);
  large = builtins.listToAttrs (
    map (wheel: {
      inherit (wheel) name;
      value = "big-${toString (rank wheel)}-";
    }) (builtins.filter (wheel: wheel.artifact.size >= builtins.head sizes) locked.wheels)
  );
in
compression:
{ name, path }:
"${compress {
  name = "blob-${large.${name} or ""}${name}";
  spec = { inherit path compression; };
}}"
