/*
  Run one of the builders as a derivation.

  Type: { seed, python, core } -> { name, builder, spec, modules, outputs, withCore } -> derivation

  Example:
    derive { name = "layer-python"; builder = "layer"; spec = { fragments = [ … ]; }; }
*/
{
  seed,
  python,
  core,
}:
let
  # A change to one builder must not rebuild what others made: each derivation sees its own modules only.
  pick =
    modules:
    builtins.path {
      path = ./builders;
      name = "builders";
      filter = path: _type: builtins.elem (baseNameOf path) (map (module: "${module}.py") modules);
    };
  shared = builtins.path {
    path = core;
    name = "cog_nix-core";
    filter =
      path: _type:
      let
        parts = builtins.filter builtins.isString (builtins.split "/" (toString path));
        depth = builtins.length (builtins.filter builtins.isString (builtins.split "/" (toString core)));
        top = builtins.elemAt parts depth;
      in
      builtins.elem top [
        "__init__.py"
        "errors.py"
        "ignore.py"
        "dockerignore.py"
        "config"
        "signature"
      ]
      && baseNameOf path != "__pycache__";
  };
in
{
  inherit seed;

  __functor =
    _self:
    {
      name,
      builder,
      spec,
      modules ? [ ],
      outputs ? [ "out" ],
      withCore ? false,
    }:
    derivation {
      inherit name outputs;
      system = "x86_64-linux";
      builder = "${seed}/lib64/ld-linux-x86-64.so.2";
      args = [
        "--library-path"
        "${seed}/usr/lib/x86_64-linux-gnu"
        "${seed}/usr/bin/python${python}"
        "-s"
        "-B"
        "${pick ([ builder "inputs" ] ++ modules)}/${builder}.py"
      ];
      spec = builtins.toJSON spec;
      passAsFile = [ "spec" ];
      core = if withCore then "${shared}" else "";
      PYTHONPATH = "${seed}/site";
      PYTHONHASHSEED = "0";
      PYTHONUTF8 = "1";
      LC_ALL = "C.UTF-8";
      TZ = "UTC";
    };
}
