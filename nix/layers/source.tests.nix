# The project.
{ lock, image, spec, ... }:
{
  imageHasLargeFilesBelowTheProject = {
    expr = map (layer: layer.name) (spec (image {
      included."cog.yaml" = 1;
      weights = [
        {
          name = "weights";
          path = ./.;
        }
      ];
    })).layers;
    expected = map builtins.head (
      builtins.filter (layer: builtins.head layer != "source") lock.layers
    ) ++ [ "weights" "source" ];
  };
  imageTakesOnlyWhatIsIncluded = {
    expr =
      (image { included."debs.nix" = 1; }).drvPath == (image {
        included = {
          "debs.nix" = 1;
          "not-there" = 1;
        };
      }).drvPath;
    expected = true;
  };
}
