/*
  Single files of known sha256 as layers, owned by root: those that somebody places, and those that the lock has by
  their URL. Each large one is a layer, all others are one on top; where there are more than 16 large ones, or little
  room below the 127 layers that Docker takes, their places decide which share a layer.

  Type: { derive, store, locked } -> [ { file : string, sha256 : string, to : string, size : int } ] -> [ { name : string, path : store path } ]

  Example:
    files [ { file = "/data/unet.pth"; sha256 = "9f86…"; to = "/opt/unet.pth"; size = 20000000; } ]
    => [ { name = "weights"; path = "/nix/store/…-weights"; } ]
*/
{ derive, store, locked }:
let
  # Bytes from which on a file is large, and most layers of these (cog_nix/project/large.py).
  least = 10485760;
  room = (122 - builtins.length locked.layers) / 2 - 1;
  most = if room > 16 then 16 else if room < 1 then 1 else room;

  # Nix does not read again what its store has under this hash.
  given =
    { file, sha256, ... }:
    builtins.path {
      path = file;
      name = "weight";
      recursive = false;
      inherit sha256;
    };

  # cog-nix puts these into the store itself; Nix fetches them only where that did not happen.
  fetched =
    { url, path, sha256, commit ? "", ... }:
    let
      hub = builtins.match "hf://([^/]+/[^/@]+)(@[^/]*)?/(.*)" url;
    in
    store.file {
      filename = baseNameOf path;
      inherit sha256;
      url =
        if hub == null then
          url
        else
          "https://huggingface.co/${builtins.head hub}/resolve/${commit}/${builtins.elemAt hub 2}";
    };

  referenced = builtins.filter (
    file: !(file.mount or false) && builtins.substring 0 1 file.path == "/"
  ) locked.files;

  ordered = builtins.sort (one: other: one.to < other.to);
  shared = builtins.groupBy ({ to, ... }: builtins.substring 0 1 (builtins.hashString "sha256" to));
  layer = files: {
    name = "weights";
    path = "${derive {
      name = "weights";
      builder = "files";
      spec.files = map ({ path, to, ... }: { inherit path to; }) files;
    }}";
  };
in
placed:
let
  all = map (file: {
    inherit (file) to size;
    path = "${given file}";
  }) placed
  ++ map (file: {
    to = file.path;
    inherit (file) size;
    path = "${fetched file}";
  }) referenced;
  divided = builtins.partition (file: file.size >= least) (ordered all);
  large =
    if builtins.length divided.right > most then
      builtins.attrValues (shared divided.right)
    else
      map (file: [ file ]) divided.right;
in
map layer (large ++ (if divided.wrong == [ ] then [ ] else [ divided.wrong ]))
