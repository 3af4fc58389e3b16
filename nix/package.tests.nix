# Nix packages by the words of cog-nix.toml.
{ file, fails, ... }:
let
  package = args: import ./package.nix ({ flake = ""; } // args);
in
{
  packageOfAFile = {
    expr = package {
      file = file "a value";
      attribute = "";
    };
    expected = "a value";
  };
  packageOfAFunctionInAFile = {
    expr = package {
      file = builtins.toFile "function.nix" "{ word ? 7 }: { a.b = word; }";
      attribute = "a.b";
    };
    expected = 7;
  };
  packageThatAFileLacks = {
    expr = fails (package {
      file = builtins.toFile "empty.nix" "{ }";
      attribute = "a";
    });
    expected = true;
  };
}
