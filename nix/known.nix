/*
  What is known of an image's layers without having them: a registry that holds them was told what they came to.

  A layer goes by its store path, which follows from all that it is made of. So `keys` needs nothing but the lock and
  the project; nothing is built or fetched for it.

  Type: { description, distributions, results, python, known } -> { keys, layer, blob, frozen }
*/
{
  description,
  # Fragments of the wheels.
  distributions,
  # What commands left behind.
  results,
  # The image's.
  python,
  # { layers = { KEY = { diff_id, size, digest, compressed }; }; frozen = { KEY = text; }; }
  known,
}:
let
  plain = path: builtins.unsafeDiscardStringContext (baseNameOf path);
  # The project's own layer has no path, and its files may be outside of the store: a registry is told nothing of these.
  isOwn = layer: layer.path == null || layer.outside or false;
  keyOf = layer: if isOwn layer then null else plain layer.path;
  isKnown = layer: !isOwn layer && known.layers ? ${keyOf layer};
  # Of which distributions are in the image.
  frozenKey =
    # Somebody says something else of them.
    if description.labels ? "run.cog.pip_freeze" then
      null
    else
      builtins.hashString "sha256" (
        builtins.toJSON {
          inherit python;
          distributions = map plain distributions;
          results = map (result: plain "${result}") results;
        }
      );
in
{
  # { layers : [ string | null ], frozen : string | null }: under what each layer would be known, and the distributions.
  keys = {
    layers = map keyOf description.layers;
    frozen = frozenKey;
  };

  # A layer for the builder of images: known, or in the store.
  layer =
    layer:
    if isKnown layer then
      {
        inherit (layer) name;
        inherit (known.layers.${keyOf layer}) diff_id size;
      }
    else
      layer;

  # A layer for the builder of OCI layouts, by a function that makes one.
  blob =
    make: layer:
    if isOwn layer then
      null
    else if isKnown layer then
      known.layers.${keyOf layer}
    else
      make layer;

  # The distributions as `pip freeze` writes them; null: not known.
  frozen = if frozenKey == null then null else known.frozen.${frozenKey} or null;
}
