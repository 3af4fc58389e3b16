/*
  How a builder is started: the seed's Python, with the modules that this builder imports and no others.

  Type: { seed, python, core, host, target } -> builder : string -> { system, builder, args, PYTHONPATH, … }, attributes of a derivation
*/
{
  seed,
  python,
  core,
  # What builders run on (platform.nix).
  host,
  # What the image is for; builders are not told of linux/amd64.
  target,
}:
let
  # What each builder imports (scripts/write_modules.py): an edit of one module repeats what runs it, nothing else.
  modules = builtins.fromJSON (builtins.readFile ./modules.json);

  # Some files of a folder, and the folders that they are in.
  pick =
    name: path: files:
    let
      above = file: if file == "." then [ ] else [ file ] ++ above (dirOf file);
      wanted = builtins.listToAttrs (
        map (file: {
          name = "${toString path}/${file}";
          value = null;
        }) (builtins.concatMap above files)
      );
    in
    builtins.path {
      inherit name path;
      filter = file: _type: wanted ? ${file};
    };

  # What is made in a moment, and anew at most edits: asking a binary cache for it would take longer.
  passing = [
    "compile"
    "configuration"
    "image"
    "invocation"
    "oci"
  ];

  # What computes more than it reads and writes: another machine may do it (Nix manual, "Remote Builds").
  portable = [
    "debs"
    "root"
    "sdist"
    "toolkit"
  ];

  # The seed's Python; nothing of the machine is seen.
  run = builder: arguments: {
    system = host.nix_system;
    builder = "${seed}/${host.loader}";
    args = [
      "--library-path"
      "${seed}/usr/lib/${host.triplet}"
      "${seed}/usr/bin/python${python}"
      # No site: what a builder imports is named, and every edit waits for a builder to start.
      "-S"
      "-B"
    ]
    ++ arguments;
    PYTHONHASHSEED = "0";
    PYTHONUTF8 = "1";
    LC_ALL = "C.UTF-8";
    TZ = "UTC";
  }
  // (if target.architecture == "amd64" then { } else { COG_NIX_PLATFORM = builtins.toJSON target; })
  // (if builtins.elem builder passing then { allowSubstitutes = false; } else { })
  // (if builtins.elem builder portable then { } else { preferLocalBuild = true; });

  # With the package's parts comes bytecode: that builder runs at every edit.
  compiled =
    own: shared:
    derivation (
      run "compile" [
        "${./builders/compile.py}"
        "${own}"
        "${shared}"
      ]
      // {
        name = "builders-with-core";
      }
    );
  # Where the modules are that some builders import.
  modulesOf =
    builders:
    let
      files = map (
        builder:
        modules.${builder}
          or (throw ''modules.json has no builder "${builder}". Run "make docs" after adding one.'')
      ) builders;
      all = kind: builtins.concatMap (one: one.${kind}) files;
      own = pick "builders" ./builders (all "builders");
      # Parts of the cog_nix package, importable as such.
      shared = pick "cog_nix" core (all "cog_nix");
    in
    if all "cog_nix" == [ ] then own else compiled own shared;

  # The second imports nearly all that the first does, and the first builds of all wait while modules are compiled.
  together = [ "configuration" "image" ];
  common = modulesOf together;
in
builder:
run builder [
  "-m"
  "start"
  builder
]
// {
  PYTHONPATH = "${if builtins.elem builder together then common else modulesOf [ builder ]}:${seed}/site";
}
