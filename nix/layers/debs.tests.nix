# Debian packages.
{ lock, locked, file, store, derive, image, fails, ... }:
let
  debsOf = changes: import ./debs.nix { inherit derive store; locked = locked // changes; };
  debs = debsOf { };
  # "bash_1-2-3-4 of base-system: …" → "bash_1-2-3-4 of base-system"
  shown = map (fragment: builtins.head (builtins.split ":" fragment));
in
{
  imageHasNoEssentialStateWithoutAny = {
    expr = fails (image {
      lock = file (lock // { essential = [ ]; });
    }).drvPath;
    expected = true;
  };
  debsAreLaidUnderTheirState = {
    expr = shown debs.image;
    expected = [
      "bash_1-2-3-4 of base-system"
      "libc6_1-2-3-4 of base-system"
      "login_1-2-3-4 of base-system"
      "perl-base_1-2-3-4 of base-system"
      "libpython3.13-minimal_1-2-3-4 of base-system"
      "python3.13_1-2-3-4 of base-system"
      "out of base-system"
      "essential of base-system"
      "ffmpeg_1-2-3-4 of additional-packages"
      "git_1-2-3-4 of additional-packages"
      "libgl1_1-2-3-4 of additional-packages"
      "out of additional-packages"
    ];
  };
  debsOfBuildsLieOnTheImages = {
    expr = shown (builtins.filter (one: !(builtins.elem one debs.image)) debs.build);
    expected = [ "gcc_1-2-3-4 of build" "out of build" ];
  };
  debsHaveAStateForEachInstallation = {
    expr = map builtins.attrNames [
      debs.fragments.state
      (debs.linked [ "/result" ]).state
      (debsOf { system = [ ]; essential = [ ]; }).fragments.state
    ];
    expected = [ [ "base" "essential" "system" ] [ "linked" ] [ "base" ] ];
  };
}
