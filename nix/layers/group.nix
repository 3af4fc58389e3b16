/*
  Tie fragments into a layer. A fragment alone is a layer already.

  Type: { derive, ... } -> { KEY = store path; } -> [ name [ KEY ] ] -> { name : string, path : store path | null }
*/
{ derive, ... }:
let
  tie = derive.many "layer";
in
fragments: layer:
let
  name = builtins.elemAt layer 0;
  members = map (
    key:
    fragments.${key}
      or (throw ''The lock's layer "${name}" names "${key}", which the lock does not hold. Run "cog-nix lock".'')
  ) (builtins.elemAt layer 1);
in
{
  inherit name;
  path =
    if builtins.length members == 1 then
      builtins.head members
    else
      "${tie {
        name = "layer-${name}";
        spec = {
          inherit name;
          fragments = members;
        };
      }}";
}
