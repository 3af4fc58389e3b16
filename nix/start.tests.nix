# How builders are started.
{ start, fails, ... }:
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
  startOfWhatIsNoBuilder = {
    expr = fails (start "archive").PYTHONPATH;
    expected = true;
  };
}
