/*
  The image: an executable that writes a Docker archive to stdout, and knows all about itself.

  Type: { derive, locked, description, distributions, source } -> derivation
*/
{
  derive,
  locked,
  description,
  distributions,
  source,
}:
derive {
  inherit (description) name;
  builder = "image";
  modules = [
    "archive"
    "source"
    "stream"
  ];
  withCore = true;
  outputs = [
    "out"
    "source"
  ];
  spec = {
    inherit (description) name tag layers labels config;
    inherit distributions;
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
