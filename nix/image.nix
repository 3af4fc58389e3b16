/*
  The image: an executable that writes a Docker archive to stdout, and knows all about itself.

  Type: { derive, locked, name, tag, layers, distributions, results, source, labels } -> derivation
*/
{
  derive,
  locked,
  name,
  tag,
  layers,
  distributions,
  # What commands left behind.
  results,
  source,
  labels,
}:
derive {
  inherit name;
  builder = "image";
  modules = [
    "archive"
    "distributions"
    "environment"
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
    inherit name tag layers distributions results labels;
    inherit (derive) seed;
    project = source;
    inherit (locked.seed) python;
    imagePython = locked.interpreter.version;
    lock = {
      inherit (locked) environment labels inputs suite;
    };
  };
}
