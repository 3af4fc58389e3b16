/*
  How a builder is started: the seed's Python, with the modules that this builder needs and no others.

  Type: { seed, python, core } -> { builder, modules, withCore } -> { system, builder, args, PYTHONPATH, … }, attributes of a derivation
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
  # The parts of the cog_nix package that read cog.yaml and signatures, importable as such.
  shared = builtins.path {
    path = dirOf core;
    name = "cog_nix-core";
    filter =
      path: _type:
      let
        wanted = map (name: "${toString core}/${name}") [
          "__init__.py"
          "errors.py"
          "config"
          "elf"
          "project"
          "signature"
          "system"
          "weights"
        ];
        below = folder: builtins.substring 0 (builtins.stringLength folder + 1) path == "${folder}/";
      in
      path == toString core
      || (
        baseNameOf path != "__pycache__"
        && builtins.any (folder: path == folder || below folder) wanted
      );
  };

  # The seed's Python; nothing of the machine is seen.
  run = arguments: {
    system = "x86_64-linux";
    builder = "${seed}/lib64/ld-linux-x86-64.so.2";
    args = [
      "--library-path"
      "${seed}/usr/lib/x86_64-linux-gnu"
      "${seed}/usr/bin/python${python}"
      # No site: what a builder imports is named, and every edit waits for a builder to start.
      "-S"
      "-B"
    ]
    ++ arguments;
    allowSubstitutes = false;
    preferLocalBuild = true;
    PYTHONHASHSEED = "0";
    PYTHONUTF8 = "1";
    LC_ALL = "C.UTF-8";
    TZ = "UTC";
  };

  # With the package's parts comes bytecode: that builder runs at every edit.
  compiled =
    folder:
    derivation (
      run [
        "${./builders/compile.py}"
        "${folder}"
        "${shared}"
      ]
      // {
        name = "builders-with-core";
      }
    );
in
{
  builder,
  modules ? [ ],
  withCore ? false,
  ...
}:
let
  own = pick (
    [
      builder
      "inputs"
    ]
    ++ modules
  );
in
run [
  "-m"
  builder
]
// {
  PYTHONPATH = "${if withCore then compiled own else own}:${seed}/site";
}
