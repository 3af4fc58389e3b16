# The seed, by content.
{ deb, lock, ... }:
{
  seedIsKnownByContent = {
    expr = (import ./seed.nix (lock.seed // { debs = [ (deb "other") ]; })).outPath;
    expected = (import ./seed.nix lock.seed).outPath;
  };
  seedOfAnotherProcessorIsKnownByContentAsWell = {
    expr = (import ./seed.nix (lock.seed // { system = "aarch64-linux"; })).outPath;
    expected = (import ./seed.nix lock.seed).outPath;
  };
  seedName = {
    expr = (import ./seed.nix lock.seed).name;
    expected = "cog-nix-seed-3.13";
  };
}
