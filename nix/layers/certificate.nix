/*
  Certificate authorities of whoever builds (COG_CA_CERT), installed by the image's own update-ca-certificates.

  Type: { derive, ... } -> { certificate : string, lower : [ store path ] } -> [ store path ]
*/
{ derive, ... }:
{ certificate, lower }:
if certificate == "" then
  [ ]
else
  [
    "${derive {
      name = "certificate";
      builder = "certificate";
      modules = [
        "archive"
        "changes"
        "confinement"
        "deb"
        "foreign"
        "listing"
        "namespace"
        "ownership"
        "python_tree"
        "refused"
        "tidy"
        "unpack"
      ];
      spec = { inherit certificate lower; };
    }}"
  ]
