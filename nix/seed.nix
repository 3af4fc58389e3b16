/*
  The Python that runs all builders, by content.

  There is nothing to run before there is a seed, so it cannot be built here: cog-nix unpacks it from the locked
  packages and adds it to the store under exactly this path.

  Type: { python, nar_sha256, system, ... } -> derivation
*/
{
  python,
  nar_sha256,
  # What it is for, as Nix calls it.
  system ? "x86_64-linux",
  ...
}:
derivation {
  name = "cog-nix-seed-${python}";
  inherit system;
  builder = "/bin/sh";
  args = [
    "-c"
    "echo 'The seed is not in this store. Run cog-nix build (or cog-nix lock) here once: it adds it.' >&2; exit 1"
  ];
  outputHashMode = "recursive";
  outputHash = nar_sha256;
}
