/*
  Read a lock.

  The order of packages, variables and labels in the file says nothing: they come sorted. Layers, and what is in
  each, stay in the file's order.

  Type: { platform : string, builder : string } -> path -> attrset

  Example:
    (import ./lock.nix { platform = "linux/amd64"; } ./cog-nix.lock).layers
    => [ { name = "base"; members = [ { kind = "deb"; name = "bash"; } { kind = "venv"; } { kind = "run"; index = 0; } ]; } ]
*/
{
  # Which of those that the file has.
  platform,
  # What builders run on, whose seed is taken.
  builder ? "linux/amd64",
}:
path:
let
  file = builtins.fromJSON (builtins.readFile path);
  chosen =
    if file.platform or "linux/amd64" == platform then
      file
    else
      file.platforms.${platform}
        or (throw ''${toString path} has nothing for ${platform}. Run "cog-nix lock --platform ${platform}".'');
  seeds = builtins.filter (seed: seed.platform or "linux/amd64" == builder) (
    [ chosen.seed ] ++ chosen.seeds or [ ]
  );
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
if file.version or 0 == 2 || file.version or 0 == 3 then
  removeAttrs chosen [ "links" "platforms" "seeds" ]
  // {
    seed =
      if seeds == [ ] then
        throw ''${toString path} has no Python for builders on ${builder}. Run "cog-nix lock" on such a machine once.''
      else
        builtins.head seeds;
    base = debs chosen.base;
    essential = debs chosen.essential;
    python = debs chosen.python;
    # Installed together; the lock says which of them somebody asked for.
    system = debs (chosen.system ++ chosen.libraries);
    linked = debs chosen.linked;
    build = debs chosen.build;
    wheels = sorted (wheel: wheel.name) chosen.wheels;
    environment = sorted builtins.head chosen.environment;
    labels = sorted builtins.head chosen.labels;
    files = chosen.files or [ ];
    symlinks = map (pair: {
      name = builtins.head pair;
      links = builtins.elemAt pair 1;
    }) (chosen.links or [ ]);
    layers = map (pair: {
      name = builtins.head pair;
      members = map member (builtins.elemAt pair 1);
    }) chosen.layers;
  }
else
  throw ''
    ${toString path} has format version ${toString (file.version or "unknown")}; this cog-nix reads versions 2 and 3.
    Run "cog-nix lock" to write it anew, or install the cog-nix that wrote it.''
