# Names and fixed outputs.
{ zeros, artifact, ... }:
let
  store = import ./store.nix;
in
{
  storeNameOfADeb = {
    expr = store.name "a~b_1:2.deb";
    expected = "a-b_1-2.deb";
  };
  storeNameKeepsWhatIsLegal = {
    expr = store.name "torch-2.5.1+cu124=x?y._-Z9.whl";
    expected = "torch-2.5.1+cu124=x?y._-Z9.whl";
  };
  storeNameOfManyIllegal = {
    expr = store.name "a  %b";
    expected = "a---b";
  };
  storeFileIsNamedAfterItsFile = {
    expr = (store.file (artifact "a~1.deb")).name;
    expected = "a-1.deb";
  };
  storeFileDoesNotDependOnWhereItIs = {
    expr = (store.file (artifact "a.deb" // { url = "https://other.example.org/a.deb"; })).outPath;
    expected = (store.file (artifact "a.deb")).outPath;
  };
  storeFileDependsOnItsContent = {
    expr = (store.file (artifact "a.deb" // { sha256 = zeros; })).outPath == (store.file (artifact "a.deb")).outPath;
    expected = false;
  };
}
