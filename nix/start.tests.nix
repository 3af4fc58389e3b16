# How builders are started.
{ start, fails, ... }:
let
  startFor =
    target:
    import ./start.nix {
      seed = "/the/seed";
      python = "3.13";
      core = ../cog_nix;
      host = on "linux/amd64";
      inherit target;
    };
  on = platform: import ./platform.nix { core = ../cog_nix; inherit platform; };
  onArm = (import ./start.nix {
    seed = "/the/seed";
    python = "3.13";
    core = ../cog_nix;
    host = on "linux/arm64";
    target = on "linux/arm64";
  }) "layer";
in
{

  startNamesTheBuilder = {
    expr = builtins.elemAt (builtins.match ".* -m start (.*)" (toString (start "venv").args)) 0;
    expected = "venv";
  };
  startCompilesWhatReadsThePackage = {
    expr = map (builder: builtins.match ".*builders-with-core:.*" (start builder).PYTHONPATH != null) [
      "venv"
      "image"
    ];
    expected = [ false true ];
  };
  startLooksNowhereForWhatIsMadeAtEachEdit = {
    expr = map (builder: (start builder).allowSubstitutes or true) [
      "image"
      "oci"
      "layer"
      "debs"
    ];
    expected = [ false false true true ];
  };
  startLetsOtherMachinesDoWhatComputes = {
    expr = map (builder: (start builder).preferLocalBuild or false) [
      "layer"
      "debs"
      "sdist"
    ];
    expected = [ true false false ];
  };
  startSaysWhatTheImageIsForWhereThatIsAnotherPlatform = {
    expr = map (target: (startFor target "layer").COG_NIX_PLATFORM or "") [ (on "linux/amd64") { architecture = "arm64"; } ];
    expected = [ "" ''{"architecture":"arm64"}'' ];
  };
  startOnAnotherProcessor = {
    expr = [ onArm.system onArm.builder (builtins.elemAt onArm.args 1) ];
    expected = [ "aarch64-linux" "/the/seed/lib/ld-linux-aarch64.so.1" "/the/seed/usr/lib/aarch64-linux-gnu" ];
  };
  startOfWhatIsNoBuilder = {
    expr = fails (start "archive").PYTHONPATH;
    expected = true;
  };
}
