/*
  Tie fragments into a layer. A fragment alone is a layer already.

  Type: { derive, ... } -> { KIND = store path | { NAME = store path; } | [ store path ]; } -> { name, members } -> { name : string, path : store path | null }

  Example:
    group { deb.bash = "/nix/store/…-bash"; source = null; } { name = "base"; members = [ { kind = "deb"; name = "bash"; } ]; }
    => { name = "base"; path = "/nix/store/…-bash"; }
*/
{ derive, ... }:
let
  tie = derive.many "layer";
in
fragments:
{ name, members }:
let
  find =
    member:
    let
      known = fragments.${member.kind} or { };
      absent = throw ''The lock's layer "${name}" names ${builtins.toJSON member}, which the lock does not hold. Run "cog-nix lock".'';
    in
    if member ? name then
      known.${member.name} or absent
    else if !(member ? index) then
      fragments.${member.kind} or absent
    else if known != { } && member.index < builtins.length known then
      builtins.elemAt known member.index
    else
      absent;
  found = map find members;
in
{
  inherit name;
  path =
    if builtins.length found == 1 then
      builtins.head found
    else
      "${tie {
        name = "layer-${name}";
        spec = {
          inherit name;
          fragments = found;
        };
      }}";
}
