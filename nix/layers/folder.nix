/*
  A folder or file of anybody's as a layer, owned by root.

  Type: { derive, ... } -> { name : string, path : path, to : string } -> { name : string, path : store path }

  Example:
    folder { name = "voices"; path = ./voices; to = "/opt/voices"; }
    => { name = "voices"; path = "/nix/store/…-voices"; }
*/
{ derive, ... }:
{ name, path, to }:
{
  inherit name;
  path = "${derive {
    inherit name;
    builder = "folder";
    spec = {
      inherit name to;
      path = "${builtins.path { inherit path name; }}";
    };
  }}";
}
