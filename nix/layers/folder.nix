/*
  A folder or file of anybody's as a layer, owned by root.

  Type: { derive, ... } -> { name : string, path : path, to : string, filter : path -> type -> bool } -> { name : string, path : store path }

  Example:
    folder { name = "voices"; path = ./voices; to = "/opt/voices"; }
    => { name = "voices"; path = "/nix/store/…-voices"; }
*/
{ derive, ... }:
{
  name,
  path,
  to,
  # What of it; all where nobody says.
  filter ? _path: _type: true,
}:
{
  inherit name;
  path = "${derive {
    inherit name;
    builder = "folder";
    spec = {
      inherit name to;
      path = "${builtins.path { inherit path name filter; }}";
    };
  }}";
}
