/*
  A Nix package by the words of cog-nix.toml: an attribute of a Nix file, or of a flake.

  Type: { file : path | null, flake : string | null, attribute : string, system : string } -> derivation

  Example:
    import ./package.nix { file = ./tool.nix; flake = null; attribute = ""; }
    => «derivation /nix/store/…-tool.drv»
*/
{
  file,
  flake,
  attribute,
  system ? "x86_64-linux",
}:
let
  steps = builtins.filter builtins.isString (builtins.split "\\." attribute);
  step =
    set: name:
    if builtins.isAttrs set && set ? ${name} then { value = set.${name}; } else null;
  walk =
    set: names:
    builtins.foldl' (found: name: if found == null then null else step found.value name) {
      value = set;
    } names;

  value = import file;
  evaluated = if builtins.isFunction value then value { } else value;

  outputs = builtins.getFlake flake;
  # As `nix build` looks for installables (Nix manual, "Flake output attribute").
  candidates =
    if attribute == "" then
      [
        [ "packages" system "default" ]
        [ "defaultPackage" system ]
      ]
    else
      [
        ([ "packages" system ] ++ steps)
        ([ "legacyPackages" system ] ++ steps)
        steps
      ];
  found = builtins.filter (one: one != null) (map (walk outputs) candidates);

  fromFile =
    let
      one = if attribute == "" then { value = evaluated; } else walk evaluated steps;
    in
    if one == null then throw "${toString file} has no attribute \"${attribute}\"." else one.value;
  fromFlake =
    if found == [ ] then
      throw "The flake ${flake} has no package \"${if attribute == "" then "default" else attribute}\" for ${system}."
    else
      (builtins.head found).value;
in
if file != null then fromFile else fromFlake
