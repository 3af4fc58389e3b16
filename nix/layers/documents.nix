/*
  Bills of materials that an image is to have.

  Type: { folder, ... } -> string -> [ { name : string, path : store path } ]

  Example:
    documents "/home/me/model/.cog/bills"
    => [ { name = "sbom"; path = "/nix/store/…-sbom"; } ], or [ ] of ""
*/
{ folder, ... }:
documents:
if documents == "" then
  [ ]
else
  [
    (folder {
      name = "sbom";
      path = /. + documents;
      to = "/usr/local/share/sbom";
    })
  ]
