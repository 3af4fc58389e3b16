/*
  Read a lock.

  The order of packages, variables and labels in the file says nothing: they come sorted. Layers, and what is in
  each, stay in the file's order.

  Type: path -> attrset

  Example:
    (import ./lock.nix ./cog-nix.lock).interpreter.version
    => "3.13.5"
*/
path:
let
  lock = builtins.fromJSON (builtins.readFile path);
  sorted = key: builtins.sort (one: other: key one < key other);
  debs = sorted (deb: deb.package);
in
if lock.version or 0 == 2 || lock.version or 0 == 3 then
  lock
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
  }
else
  throw ''
    ${toString path} has format version ${toString (lock.version or "unknown")}; this cog-nix reads versions 2 and 3.
    Run "cog-nix lock" to write it anew, or install the cog-nix that wrote it.''
