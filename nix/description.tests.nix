# Descriptions of images, and overlays.
{ description, fails, ... }:
{
  descriptionKeepsTheProjectOnTop = {
    expr = map (layer: layer.name) (description "final: prev: { layers = prev.layers ++ [ { name = \"more\"; path = \"/more\"; } ]; }").layers;
    expected = [ "base" "more" "certificate" "source" ];
  };
  descriptionTakesTheLocksVariables = {
    expr = (description "final: prev: { }").environment;
    expected = {
      NAME = "value";
      REQUESTS_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
      SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt";
    };
  };
  descriptionIsAFixedPoint = {
    expr =
      (description "final: prev: { name = \"other\"; environment = { IMAGE = final.name; }; }").environment;
    expected.IMAGE = "other";
  };
  descriptionRefusesWhatAnImageHasNot = {
    expr = fails (description "final: prev: { layer = [ ]; }").name;
    expected = true;
  };
}
