/*
  The image: an executable that writes a Docker archive to stdout, and knows all about itself.

  Type: { derive, locked, name, tag, layers, distributions, source, labels } -> derivation
*/
{
  derive,
  locked,
  name,
  tag,
  layers,
  distributions,
  source,
  labels,
}:
derive {
  inherit name;
  builder = "image";
  modules = [
    "archive"
    "environment"
    "source"
    "stream"
  ];
  withCore = true;
  outputs = [
    "out"
    "source"
  ];
  spec = {
    inherit name tag layers distributions labels;
    inherit (derive) seed;
    project = source;
    inherit (locked.seed) python;
    imagePython = locked.interpreter.version;
    lock = {
      inherit (locked) environment labels inputs suite;
    };
  };
}
