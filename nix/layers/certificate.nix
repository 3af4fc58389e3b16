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
      spec = { inherit certificate lower; };
    }}"
  ]
