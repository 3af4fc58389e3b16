# Wheels, and what is built to one.
{ artifact, wheel, nvcc, toolkitOf, store, derive, specOf, ... }:
let
  wheels = wheelsWith (toolkitOf { });
  wheelsWith = toolkit: import ./wheels.nix {
    inherit derive store toolkit;
    interpreter = {
      minor = "3.13";
      tree = "/tree";
      headers = "include";
      fragments.venv = "/venv";
    };
    debs.build = [ "/debian" ];
    locked.wheels = [
      (wheel "plain")
      (
        (wheel "cudnn")
        // {
          artifact = artifact "cudnn-1.0-py3-none-any.whl" // {
            size = 600 * 1024 * 1024;
          };
        }
      )
      (
        (wheel "torch")
        // {
          source = {
            kind = "sdist";
            subdirectory = "sub";
            isolated = true;
            sees = [ ];
            requires = [ (wheel "setuptools") ];
          };
        }
      )
      (
        (wheel "flash")
        // {
          origin = "https://example.org/flash.zip#sha256=00";
          depends = [ "torch" ];
          source = {
            kind = "archive";
            subdirectory = "";
            isolated = false;
            sees = [ "plain" ];
            requires = [ ];
            device_code = true;
          };
        }
      )
    ];
  };
in
{
  wheelWithDeviceCodeIsBuiltWithTheToolkit = {
    expr =
      let
        built = wheelsWith (toolkitOf { toolkit = nvcc; });
        told = specOf (specOf built.flash).wheel;
      in
      {
        inherit (told) programs;
        sees = builtins.length told.sees;
        others = (specOf (specOf built.torch).wheel) ? programs;
      };
    expected = {
      programs = [ "/usr/local/cuda/bin" ];
      sees = 2;
      others = false;
    };
  };
  wheelThatIsLockedIsInstalled = {
    expr = (specOf wheels.plain).wheel;
    expected = "plain-1.0-py3-none-any.whl";
  };
  wheelThatTakesLongIsBegunEarly = {
    expr = map (name: builtins.head (builtins.split ":" wheels.${name})) [ "cudnn" "plain" ];
    expected = [ "big-cudnn-1.0" "plain-1.0" ];
  };
  wheelHasNoOriginUnlessNamed = {
    expr = map (name: (specOf wheels.${name}).origin or null) [ "plain" "flash" ];
    expected = [ null "https://example.org/flash.zip#sha256=00" ];
  };
  wheelFromSourceIsBuiltFirst = {
    expr = removeAttrs (specOf (specOf wheels.torch).wheel) [ "root" ];
    expected = {
      name = "torch";
      version = "1.0";
      depends = [ ];
      subdirectory = "sub";
      python = "3.13";
      archive = "torch-1.0-py3-none-any.whl";
      sees = [ ];
      requires = [
        {
          filename = "setuptools-1.0-py3-none-any.whl";
          path = "setuptools-1.0-py3-none-any.whl";
        }
      ];
    };
  };
  wheelFromSourceIsBuiltInTheBuildSystem = {
    expr = (specOf (specOf (specOf wheels.torch).wheel).root).lower;
    expected = [ "/debian" "/venv" ];
  };
  wheelWithoutIsolationSeesThoseOfTheImage = {
    expr = (specOf (specOf wheels.flash).wheel).sees;
    expected = [ wheels.plain ];
  };
}
