/*
  From a lock and a project to an image.

  Type: { lock, project, name, ... } -> derivation

  Example:
    import ./nix { lock = ./hello/cog-nix.lock; project = ./hello; name = "cog-hello"; }
    => «derivation /nix/store/…-cog-hello.drv», an executable that writes a Docker archive to stdout
*/
{
  # Path of cog-nix.lock.
  lock,
  # Path of the folder that becomes /src.
  project,
  # Name of the image in the store.
  name,
  # Reference that it is loaded under when nobody says otherwise.
  tag ? "${name}:latest",
  # Name of the configuration file in the project.
  config ? "cog.yaml",
  # Project files to take, as { "relative/path" = 1; }, folders included; null: all that .dockerignore leaves.
  included ? null,
  # Those of them that configuration is read from; null: any may be one.
  configured ? null,
  # Layers of files that stay in the project, as [ { name, path } ], path a folder that describes one; `included`
  # has none of them.
  weights ? [ ],
  # Files that are put somewhere in the image, as [ { file, sha256, size, to } ]: where they are, and where they go.
  placed ? [ ],
  # Folder of the cog_nix Python package (its parts that read cog.yaml and signatures run in the build).
  core ? ../cog_nix,
  # Labels that only whoever builds knows: revision, version, annotations.
  labels ? { },
  # An OpenAPI document (JSON text) to use instead of the one read from source; "": read it.
  openapi ? "",
  # Certificate authorities that the image trusts besides Debian's (PEM); "": none.
  certificate ? "",
  # What the image is for, and what builders run on.
  platform ? "linux/amd64",
  builder ? "linux/amd64",
  # What changes the description of the image (see description.nix); null: nothing does.
  overlay ?
    if builtins.pathExists (project + "/cog-nix.nix") then project + "/cog-nix.nix" else null,
  # Variables that the project sets, as [ [ name value ] ]: commands see them.
  environment ? [ ],
  # What a registry's layers came to, by their keys (known.nix); the image then is one for that registry alone.
  known ? { layers = { }; frozen = { }; },
  # A command, after those that the lock has results of: how to run it, instead of the image; null: the image.
  command ? null,
  # A folder of bills of materials that the image is to have; "": none.
  documents ? "",
  # Who runs the model, as the image's configuration has it; "": root.
  user ? "",
  # The same as [ uid gid ], whose the project is in the image; null: root's.
  owner ? null,
  # How registries and OCI layouts get layers: gzip, zstd, zstd:chunked or none.
  compression ? "gzip",
  # References of flakes whose sources are in the store, by how the lock names them.
  sources ? { },
}:
let
  target = import ./platform.nix { inherit core platform; };
  host = import ./platform.nix { inherit core; platform = builder; };
  locked = import ./lock.nix { inherit platform builder; } lock;
  seed = import ./seed.nix (locked.seed // { system = host.nix_system; });
  start = import ./start.nix { inherit seed core host target; inherit (locked.seed) python; };
  derive = import ./derive.nix { inherit seed start; };
  args = { inherit derive locked; store = import ./store.nix; };
  folder = import ./layers/folder.nix args;
  interpreter = import ./layers/interpreter.nix (args // { foreign = platform != builder; });
  debs = import ./layers/debs.nix args;
  certificates = import ./layers/certificate.nix args { inherit certificate; lower = debs.image; };
  toolkit = import ./layers/toolkit.nix (args // { inherit interpreter environment; });
  wheels = import ./layers/wheels.nix (args // { inherit interpreter debs toolkit; });
  linker = import ./layers/linker.nix args { inherit wheels; };
  runs = import ./layers/runs.nix (args // {
    inherit interpreter debs toolkit wheels environment command;
    linker = builtins.attrValues (linker debs.image);
  });
  results = map (result: "${result}") runs.results;
  linked = debs.linked results;
  # Of one kind each; a layer's members say which, and its name or number.
  fragments = {
    deb = debs.fragments.deb // linked.deb;
    state = debs.fragments.state // linked.state;
    wheel = wheels;
    symlinks = import ./layers/symlinks.nix (args // { inherit interpreter; });
    run = runs.fragments;
    source = null;
  }
  // interpreter.fragments
  // linker states;
  # What the image has of the system's state, from bottom to top.
  states = builtins.concatMap (
    member:
    if member.kind == "state" then
      [ fragments.state.${member.name} ]
    else if member.kind == "run" then
      [ (builtins.elemAt results member.index) ]
    else
      [ ]
  ) (builtins.concatMap (layer: layer.members) locked.layers);
  source = import ./layers/source.nix (args // { inherit project config configured included weights openapi owner; });
  group = import ./layers/group.nix args;
  files = import ./layers/files.nix args;
  description = import ./description.nix {
    inherit derive locked name tag labels overlay certificates user;
    packages = map (
      package:
      import ./package.nix {
        inherit (package) attribute;
        system = target.nix_system;
        file = if package.file == "" then null else project + "/${package.file}";
        # A flake in the project's own folder is read where it is.
        flake =
          if builtins.substring 0 1 package.flake == "." then "path:${toString project}/${package.flake}"
          else sources.${package.flake} or package.flake;
      }
    ) locked.packages;
    layers = map (group fragments) locked.layers ++ files placed ++ source.weights ++ import ./layers/documents.nix { inherit folder; } documents;
    closures = import ./layers/closures.nix args;
    inherit folder;
  };
  distributions = builtins.attrValues wheels;
  held = import ./known.nix {
    inherit description distributions results known;
    python = locked.interpreter.version;
  };
  image = import ./image.nix {
    inherit derive locked description held distributions results;
    source = source.spec;
  };
in
if command != null then
  runs.invocation
else
  image
  // {
    # Under what its layers would be known: costs evaluation alone.
    inherit (held) keys;
    # Nix packages that are built; others are files of the project.
    packages = builtins.filter (one: !builtins.isString one) description.packages;
    # The same image as registries hold it; costs nothing where nobody asks.
    oci = import ./oci.nix {
      inherit derive description image held compression;
      blob = import ./layers/blob.nix args;
    };
  }
