/*
  Nix packages with all that they refer to: a layer each, of what the layers below it lack.

  Type: { derive, ... } -> [ derivation | store path ] -> [ { name : string, path : store path } ]

  Example:
    closures [ (import ./tool.nix) ]
    => [ { name = "nix-tool-1.0"; path = "/nix/store/…-nix-tool-1.0"; } ]
*/
{ derive, ... }:
packages:
builtins.genList (
  index:
  let
    package = builtins.elemAt packages index;
    below = builtins.genList (builtins.elemAt packages) index;
    # A path in the store, as builtins.path makes them, does as well.
    name =
      if builtins.isString package then
        builtins.substring 33 (-1) (builtins.unsafeDiscardStringContext (baseNameOf package))
      else
        package.name
          or (throw "A Nix package for the image has to be a derivation or a store path, not a ${builtins.typeOf package}.");
  in
  {
    name = "nix-${name}";
    path = "${derive {
      name = "nix-${name}";
      builder = "closure";
      references = [ package ] ++ below;
      spec = {
        package = "${package}";
        below = index;
      };
    }}";
  }
) (builtins.length packages)
