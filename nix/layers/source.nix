/*
  The project under /src, as a fragment, and what is read from it: configuration and OpenAPI document.

  Type: { derive, store, locked, project, config, included, openapi } -> store path
*/
{
  derive,
  store,
  locked,
  project,
  config,
  included,
  openapi,
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
derive {
  name = "source-layer";
  builder = "source";
  modules = [ "archive" ];
  withCore = true;
  spec = {
    project = "${taken}";
    inherit config openapi;
    inherit (sdk) version;
  };
}
