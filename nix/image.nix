/*
  The image: an executable that writes a Docker archive to stdout, and knows all about itself.

  Type: { derive, locked, description, distributions, results, source } -> derivation
*/
{
  derive,
  locked,
  description,
  distributions,
  # What commands left behind.
  results,
  source,
}:
derive {
  inherit (description) name;
  builder = "image";
  modules = [
    "archive"
    "distributions"
    "source"
    "stream"
    "unpack"
  ];
  withCore = true;
  outputs = [
    "out"
    "source"
  ];
  spec = {
    inherit (description) name tag layers labels config;
    inherit distributions results;
    inherit (derive) seed;
    project = source;
    inherit (locked.seed) python;
    imagePython = locked.interpreter.version;
    lock = {
      environment = map (name: [
        name
        description.environment.${name}
      ]) (builtins.attrNames description.environment);
      inherit (locked) labels inputs suite;
    };
  };
}
