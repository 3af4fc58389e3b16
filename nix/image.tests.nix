# Images.
{ lock, file, image, spec, ... }:
{
  imageDependsOnItsLabels = {
    expr = (image { labels.a = "b"; }).drvPath == (image { }).drvPath;
    expected = false;
  };
  imageTellsTheNewestIndexItWasMadeFrom = {
    expr =
      (spec (image {
        lock = file (
          lock
          // {
            indexes = map (date: { inherit date; }) [
              "2026-01-02T00:00:00Z"
              "2026-03-01T00:00:00Z"
              "2026-02-01T00:00:00Z"
            ];
          }
        );
      })).lock.snapshot;
    expected = "2026-03-01T00:00:00Z";
  };
  imageCarriesTheSdksVersion = {
    expr = (spec (image { })).project.version;
    expected = "1.0";
  };
}
