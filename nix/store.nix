# Names and fixed outputs.
rec {
  /*
    Turn any text into a legal store path name (Nix manual, "Store Path").

    Type: string -> string

    Example:
      name "a~b_1:2.deb"
      => "a-b_1-2.deb"
  */
  name = text: builtins.concatStringsSep "-" (builtins.filter builtins.isString (builtins.split "[^a-zA-Z0-9+._?=-]" text));

  /*
    A locked file. cog-nix puts it into the store itself, from its own downloads; Nix fetches it only where that
    did not happen, as in a pure `nix build`.

    Type: { filename, url, sha256, ... } -> derivation
  */
  file =
    artifact:
    derivation {
      name = name artifact.filename;
      system = "builtin";
      builder = "builtin:fetchurl";
      inherit (artifact) url;
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = artifact.sha256;
      executable = false;
      unpack = false;
      preferLocalBuild = true;
      impureEnvVars = [
        "http_proxy"
        "https_proxy"
        "no_proxy"
      ];
      urls = [ artifact.url ];
    };
}
