# The project's Python.
{ artifact, deb, lock, store, derive, ... }:
let
  interpreter = version: interpreterWith { inherit version; };
  interpreterWith = interpreterFor false;
  interpreterFor =
    foreign: chosen:
    import ./interpreter.nix {
      inherit derive store foreign;
      locked = lock // {
        interpreter = lock.interpreter // chosen;
        base = map deb [ "bash" "libc6" "libssl3t64" "zlib1g" ];
      };
    };
in
{
  interpreterOfTheSeedsVersionIsTheSeed = {
    expr = (interpreter "3.13.9").tree;
    expected = "/the/seed";
  };
  interpreterOfAnotherVersionIsUnpackedFromWhatItNeeds = {
    expr = (interpreter "3.11.2").tree;
    expected = "python-3.11.2-tree: ${
      builtins.toJSON {
        debs = map (name: "${name}_2~3-4_amd64.deb") [
          "libc6"
          "libssl3t64"
          "zlib1g"
          "libpython3.13-minimal"
          "python3.13"
        ];
      }
    }";
  };
  interpreterOfAnArchiveIsUnpackedAndRunsInBuilds = {
    expr =
      let
        unpacked = interpreterWith {
          version = "3.12.11";
          artifact = artifact "cpython-3.12.11.tar.gz";
        };
      in
      {
        inherit (unpacked) tree minor headers;
        fragments = builtins.attrNames unpacked.fragments;
      };
    expected = {
      tree = "tree of python-3.12.11: ${
        builtins.toJSON {
          archive = "cpython-3.12.11.tar.gz";
          python = "3.12";
          seed = "/the/seed";
        }
      }";
      minor = "3.12";
      headers = "include/python3.12";
      fragments = [ "interpreter" ];
    };
  };
  interpreterOfAnArchiveForAnotherPlatformRunsOnTheImagesOwnLibraries = {
    expr =
      builtins.match ".*seed...python-3.12.11-tree: .*libc6_2~3-4_amd64.deb.*"
        (interpreterFor true {
          version = "3.12.11";
          artifact = artifact "cpython-3.12.11.tar.gz";
        }).tree != null;
    expected = true;
  };
  interpreterMinor = {
    expr = (interpreter "3.11.2").minor;
    expected = "3.11";
  };
}
