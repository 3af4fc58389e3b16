# What an image is for.
{ fails, ... }:
let
  of =
    platform:
    import ./platform.nix {
      core = ../cog_nix;
      inherit platform;
    };
in
{
  platformOfBuildersIsNone = {
    expr = of "linux/amd64";
    expected = null;
  };
  platformOfAnotherProcessor = {
    expr = (of "linux/arm64").triplet;
    expected = "aarch64-linux-gnu";
  };
  platformThatIsNone = {
    expr = fails (of "linux/sparc");
    expected = true;
  };
}
