/*
  The project: what builders/source.py needs to put it under /src and to read the OpenAPI document from it, and the
  layers of its files that are not copied into the store.

  Type: { derive, locked, project, config, configured, included, weights, openapi, owner, ... } -> { spec, weights }
*/
{
  derive,
  locked,
  project,
  config,
  # The files that configuration is read from, as `included`; null: any may be one.
  configured,
  included,
  weights,
  openapi,
  # [ uid gid ] whose it is; null: root's.
  owner,
  ...
}:
let
  root = toString project;
  prefix = builtins.stringLength root + 1;
  relative = path: builtins.substring prefix (-1) (toString path);
  taken = builtins.path {
    path = project;
    name = "source";
    filter =
      path: _type:
      if included == null then
        !(builtins.elem (relative path) [
          ".git"
          ".cog"
          "result"
        ])
      else
        included ? ${relative path};
  };
  sdk = builtins.head (builtins.filter (wheel: wheel.name == "cog") locked.wheels);
  configuration = derive {
    name = "configuration";
    builder = "configuration";
    spec = {
      project =
        if configured == null then
          "${taken}"
        else
          "${builtins.path {
            path = project;
            name = "configuration";
            filter = path: _type: configured ? ${relative path};
          }}";
      inherit config;
    };
  };
in
{
  spec = {
    project = "${taken}";
    configuration = "${configuration}";
    inherit config openapi;
    inherit (sdk) version;
  }
  // (if owner == null then { } else { inherit owner; });

  # [ { name, path, outside } ]: what the store has of a layer says where its files are (cog_nix/image/file_layers.py).
  weights = map (layer: {
    inherit (layer) name;
    path = "${builtins.path {
      inherit (layer) path;
      name = "files-${layer.name}";
    }}";
    outside = true;
  }) weights;
}
