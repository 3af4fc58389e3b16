/*
  Fragments that lay symbolic links over files of wheels whose content is there already, one a wheel.

  Type: { derive, store, locked, interpreter } -> { NAME = store path; }

  Example:
    symlinks
    => { triton = "/nix/store/…-triton-symlinks"; }
*/
{ derive, store, locked, interpreter }:
let
  link = derive.many "symlinks";
in
builtins.listToAttrs (
  map (
    { name, links }:
    {
      inherit name;
      value = "${link {
        name = store.name "${name}-symlinks";
        spec = {
          inherit name links;
          python = interpreter.minor;
        };
      }}";
    }
  ) locked.symlinks
)
