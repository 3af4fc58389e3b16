/*
  Read a lock.

  The order of packages, variables and labels in the file says nothing: they come sorted. Layers, and what is in
  each, stay in the file's order.

  Type: path -> attrset

  Example:
    (import ./lock.nix ./cog-nix.lock).layers
    => [ { name = "base"; members = [ { kind = "deb"; name = "bash"; } { kind = "venv"; } { kind = "run"; index = 0; } ]; } ]
*/
path:
let
  lock = builtins.fromJSON (builtins.readFile path);
  sorted = key: builtins.sort (one: other: key one < key other);
  debs = sorted (deb: deb.package);

  # The file has text: "deb:bash", "run:0", "venv".
  member =
    text:
    let
      parts = builtins.match "([a-z]+)(:(.+))?" text;
      kind = builtins.head parts;
      name = builtins.elemAt parts 2;
    in
    if parts == null then
      throw ''${toString path} names "${text}" in a layer, which is no member. Run "cog-nix lock" to write it anew.''
    else if name == null then
      { inherit kind; }
    else if kind == "run" then
      {
        inherit kind;
        index = builtins.fromJSON name;
      }
    else
      {
        kind = if kind == "links" then "symlinks" else kind;
        inherit name;
      };
in
if lock.version or 0 == 2 || lock.version or 0 == 3 then
  removeAttrs lock [ "links" ]
  // {
    base = debs lock.base;
    essential = debs lock.essential;
    python = debs lock.python;
    # Installed together; the lock says which of them somebody asked for.
    system = debs (lock.system ++ lock.libraries);
    linked = debs lock.linked;
    build = debs lock.build;
    wheels = sorted (wheel: wheel.name) lock.wheels;
    environment = sorted builtins.head lock.environment;
    labels = sorted builtins.head lock.labels;
    files = lock.files or [ ];
    symlinks = map (pair: {
      name = builtins.head pair;
      links = builtins.elemAt pair 1;
    }) (lock.links or [ ]);
    layers = map (pair: {
      name = builtins.head pair;
      members = map member (builtins.elemAt pair 1);
    }) lock.layers;
  }
else
  throw ''
    ${toString path} has format version ${toString (lock.version or "unknown")}; this cog-nix reads versions 2 and 3.
    Run "cog-nix lock" to write it anew, or install the cog-nix that wrote it.''
