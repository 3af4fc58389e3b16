/*
  What builders/source.py needs to put the project under /src and to read configuration and OpenAPI document.

  Type: { locked, project, config, included, openapi, ... } -> attrset
*/
{
  locked,
  project,
  config,
  included,
  openapi,
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
in
{
  project = "${taken}";
  inherit config openapi;
  inherit (sdk) version;
}
