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
  platformByItsLoader = {
    expr = (of "linux/amd64").loader;
    expected = "lib64/ld-linux-x86-64.so.2";
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
