/*
  The project: what builders/source.py needs to put it under /src and to read the OpenAPI document from it, and a
  layer of its large files, where it has some.

  Type: { derive, locked, project, config, configured, included, weights, openapi, folder, ... } -> { spec, weights }
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
  # layers/folder.nix
  folder,
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
  };

  # [ { name, path } ]: no layer, or one.
  weights =
    if weights == { } then
      [ ]
    else
      [
        (folder {
          name = "weights";
          path = project;
          to = "/src";
          filter = path: _type: weights ? ${relative path};
        })
      ];
}
