# How builders are started.
{ start, fails, ... }:
let
  startFor =
    target:
    import ./start.nix {
      seed = "/the/seed";
      python = "3.13";
      core = ../cog_nix;
      inherit target;
    };
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
    expr = map (target: (startFor target "layer").COG_NIX_PLATFORM or "") [ null { debian = "arm64"; } ];
    expected = [ "" ''{"debian":"arm64"}'' ];
  };
  startOfWhatIsNoBuilder = {
    expr = fails (start "archive").PYTHONPATH;
    expected = true;
  };
}
