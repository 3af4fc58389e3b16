/*
  The unit tests of this library: X.tests.nix beside X.nix, what is expected beside what is.

  Type: { "FILE" = { NAME = { expr : any, expected : any }; }; }

  Example:
    nix-instantiate --eval --strict nix/tests.nix -A '"store.nix"'.storeNameOfADeb
    => { expected = "a-b_1-2.deb"; expr = "a-b_1-2.deb"; }
*/
let
  fixtures = import ./fixtures.nix;
  isFile = name: type: type == "regular" && builtins.match ".*[.]nix" name != null;
  filesOf =
    folder: prefix:
    let
      entries = builtins.readDir folder;
    in
    map (name: prefix + name) (builtins.filter (name: isFile name entries.${name}) (builtins.attrNames entries));
  files = filesOf ./. "" ++ filesOf ./layers "layers/";
  testsOf = file: builtins.replaceStrings [ ".nix" ] [ ".tests.nix" ] file;
in
builtins.listToAttrs (
  map (file: {
    name = file;
    value = import (./. + "/${testsOf file}") fixtures;
  }) (builtins.filter (file: builtins.elem (testsOf file) files) files)
)
