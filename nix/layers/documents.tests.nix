# Bills of materials.
{ ... }:
let
  documents = import ./documents.nix { folder = arguments: arguments; };
in
{
  documentsOfAFolder = {
    expr = documents (toString ./documents.nix);
    expected = [
      {
        name = "sbom";
        path = ./documents.nix;
        to = "/usr/local/share/sbom";
      }
    ];
  };
  documentsOfNone = {
    expr = documents "";
    expected = [ ];
  };
}
