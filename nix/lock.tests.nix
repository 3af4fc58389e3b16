# Reading a lock.
{ lock, locked, file, backwards, shuffled, fails, ... }:
let
  read = changes: import ./lock.nix (file (lock // changes));
in
{
  lockReads = {
    expr = removeAttrs (read { }) [ "layers" "symlinks" ];
    # Libraries that nobody named are installed with what the project names.
    expected = removeAttrs lock [ "layers" ] // {
      system = lock.system ++ lock.libraries;
      files = [ ];
    };
  };
  lockIsSorted = {
    expr = import ./lock.nix (file shuffled);
    expected = locked;
  };
  lockKeepsTheOrderOfLayers = {
    expr = (read { layers = backwards lock.layers; }).layers;
    expected = backwards locked.layers;
  };
  lockOfAnotherVersion = {
    expr = fails (read { version = 4; });
    expected = true;
  };
  lockWithoutAVersion = {
    expr = fails (import ./lock.nix (file (removeAttrs lock [ "version" ])));
    expected = true;
  };
  lockNamesTheMembersOfLayersByKind = {
    expr = builtins.head (read { layers = [ [ "all" [ "deb:bash" "state:base" "venv" "run:10" "links:torch" ] ] ]; }).layers;
    expected = {
      name = "all";
      members = [
        { kind = "deb"; name = "bash"; }
        { kind = "state"; name = "base"; }
        { kind = "venv"; }
        { kind = "run"; index = 10; }
        { kind = "symlinks"; name = "torch"; }
      ];
    };
  };
  lockWithAMemberOfNoKind = {
    expr = fails (read { layers = [ [ "odd" [ ":" ] ] ]; });
    expected = true;
  };
  lockHasSymlinksByWheel = {
    expr = (read { links = [ [ "torch" [ [ "a" "b" ] ] ] ]; }).symlinks;
    expected = [ { name = "torch"; links = [ [ "a" "b" ] ]; } ];
  };
}
