/*
  The image: an executable that writes a Docker archive to stdout, and knows all about itself.

  Type: { derive, locked, description, held, distributions, results, source } -> derivation
*/
{
  derive,
  locked,
  description,
  # known.nix
  held,
  distributions,
  # What commands left behind.
  results,
  source,
}:
let
  sha256 = map (one: one.artifact.sha256);
  # Everything that is in the image, by content: mirrors make no difference.
  digest = builtins.hashString "sha256" (
    builtins.toJSON ({
      inherit (locked) inputs packages;
      interpreter = locked.interpreter.artifact.sha256 or locked.interpreter.version;
      debs = map sha256 [
        locked.base
        locked.essential
        locked.python
        locked.system
        locked.linked
      ];
      wheels = sha256 locked.wheels;
      runs = map (run: run.nar_sha256) locked.runs;
    } // (if locked.files == [ ] then { } else { files = map (file: [ file.path file.sha256 ]) locked.files; }))
  );
  # ISO 8601 dates in UTC are in order as text.
  snapshot = builtins.foldl' (
    newest: index: if index.date > newest then index.date else newest
  ) "" locked.indexes;
in
derive {
  inherit (description) name;
  builder = "image";
  outputs = [ "out" "source" ];
  spec = {
    inherit (description) name tag labels config;
    layers = map held.layer description.layers;
    inherit (derive) seed;
    project = source;
    inherit (locked.seed) python;
    imagePython = locked.interpreter.version;
    lock = {
      environment = map (name: [
        name
        description.environment.${name}
      ]) (builtins.attrNames description.environment);
      inherit (locked) labels suite;
      inherit snapshot;
      digest = "sha256:${digest}";
    };
  }
  // (
    if held.frozen == null then
      { inherit distributions results; }
    else
      {
        distributions = [ ];
        results = [ ];
        inherit (held) frozen;
      }
  );
}
