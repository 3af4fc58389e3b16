# Certificate authorities.
{ derive, ... }:
let
  certificate = import ./certificate.nix { inherit derive; };
in
{
  certificateOfNobodyIsNoLayer = {
    expr = certificate {
      certificate = "";
      lower = [ "/base" ];
    };
    expected = [ ];
  };
  certificateIsInstalledOnTheSystem = {
    expr = certificate {
      certificate = "PEM";
      lower = [ "/base" ];
    };
    expected = [ "certificate: {\"certificate\":\"PEM\",\"lower\":[\"/base\"]}" ];
  };
}
