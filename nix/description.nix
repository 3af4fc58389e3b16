/*
  The description of an image, which an overlay may change before anything is built.

  An overlay is a file with a function `final: prev: { … }`, as nixpkgs has them: `prev` is the description so
  far, `final` the finished one, the result replaces attributes of `prev`.

  Type: { derive, locked, name, tag, labels, layers, … } -> attrset

  Example of an overlay:
    final: prev: {
      environment = prev.environment // { MODEL = "small"; };
      packages = prev.packages ++ [ (import ./tool.nix) ];
      layers = prev.layers ++ [ (final.lib.folder { name = "voices"; path = ./voices; to = "/opt/voices"; }) ];
      config = { User = "nobody"; };
    }
*/
{
  derive,
  locked,
  name,
  tag,
  labels,
  layers,
  certificates,
  user,
  packages,
  closures,
  folder,
  overlay,
}:
let
  bundle = "/etc/ssl/certs/ca-certificates.crt";

  initial = final: {
    # Name in the store, and reference that the image is loaded under.
    inherit name tag;

    # Labels; those that Cog defines cannot be changed.
    inherit labels;

    # Variables added to Env. cog.yaml's own win.
    environment =
      builtins.listToAttrs (
        map (pair: {
          name = builtins.elemAt pair 0;
          value = builtins.elemAt pair 1;
        }) locked.environment
      )
      // (
        if certificates == [ ] then
          { }
        else
          {
            SSL_CERT_FILE = bundle;
            REQUESTS_CA_BUNDLE = bundle;
          }
      )
      // (
        # What programs keep of their own goes where anybody may write; getpass asks no passwd for a name.
        if user == "" then
          { }
        else
          {
            HOME = "/tmp";
            USER = if builtins.match "[0-9].*" user == null then builtins.head (builtins.split ":" user) else "cog";
          }
      );

    # What replaces keys of the OCI image configuration (image-spec, config.md): User, Cmd, Entrypoint, …
    config = if user == "" then { } else { User = user; };

    # Derivations that come into the image with all that they refer to.
    inherit packages;

    # { name, path } from bottom to top, path a fragment's; the one without a path is the project. What is
    # `outside` has its files in the project's folder.
    inherit layers;

    # What overlays may use.
    lib = { inherit derive folder; };

    # What the lock says.
    inherit locked;
  };

  known = builtins.attrNames (initial { });
  changes = import overlay;
  checked =
    change:
    let
      unknown = builtins.filter (key: !(builtins.elem key known)) (builtins.attrNames change);
    in
    if unknown == [ ] then
      change
    else
      throw "${toString overlay} sets ${builtins.concatStringsSep ", " unknown}; an image has ${builtins.concatStringsSep ", " known}.";
  final =
    if overlay == null then
      initial final
    else
      let
        prev = initial final;
      in
      prev // checked (changes final prev);

  isSource = layer: layer.path == null;
in
final
// {
  # The project stays on top: it changes most often.
  layers =
    builtins.filter (layer: !(isSource layer)) final.layers
    ++ map (path: {
      name = "certificate";
      inherit path;
    }) certificates
    ++ closures final.packages
    ++ builtins.filter isSource final.layers;
}
