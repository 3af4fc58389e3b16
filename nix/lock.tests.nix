# Reading a lock.
{ lock, locked, file, backwards, shuffled, fails, ... }:
let
  read = changes: import ./lock.nix { platform = "linux/amd64"; } (file (lock // changes));
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
    expr = import ./lock.nix { platform = "linux/amd64"; } (file shuffled);
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
  lockOfAnotherPlatform = {
    expr =
      let
        both = file (lock // { platforms."linux/arm64" = lock // { suite = "sid"; }; });
      in
      map (platform: (import ./lock.nix { inherit platform; } both).suite) [ "linux/amd64" "linux/arm64" ];
    expected = [ lock.suite "sid" ];
  };
  lockForAnotherPlatformAlone = {
    expr = (import ./lock.nix { platform = "linux/arm64"; } (file (lock // { platform = "linux/arm64"; }))).suite;
    expected = lock.suite;
  };
  lockLacksAPlatform = {
    expr = fails (import ./lock.nix { platform = "linux/arm64"; } (file lock));
    expected = true;
  };
  lockHasASeedForEachProcessorThatBuilds = {
    expr =
      let
        arm = lock.seed // { platform = "linux/arm64"; python = "3.14"; };
        both = file (lock // { seeds = [ arm ]; });
        on = builder: (import ./lock.nix { platform = "linux/amd64"; inherit builder; } both).seed.python;
      in
      map on [ "linux/amd64" "linux/arm64" ];
    expected = [ lock.seed.python "3.14" ];
  };
  lockLacksASeed = {
    expr = fails (import ./lock.nix { platform = "linux/amd64"; builder = "linux/arm64"; } (file lock)).seed;
    expected = true;
  };
  lockWithoutAVersion = {
    expr = fails (import ./lock.nix { platform = "linux/amd64"; } (file (removeAttrs lock [ "version" ])));
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
