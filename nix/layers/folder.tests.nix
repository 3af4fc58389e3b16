# Anybody's folders.
{ derive, ... }:
{
  folderIsALayer = {
    expr =
      (import ./folder.nix { inherit derive; } {
        name = "voices";
        path = ./.;
        to = "/opt/voices";
      }).name;
    expected = "voices";
  };
}
