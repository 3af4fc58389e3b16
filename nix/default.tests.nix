# From a lock to an image.
{ cuda, file, image, lock, shuffled, spec, ... }:
{
  imageHasTheLocksLayersInOrder = {
    expr = map (layer: layer.name) (spec (image { })).layers;
    expected = map builtins.head lock.layers;
  };
  imageIsTheSameFromAShuffledLock = {
    expr = (image { lock = file shuffled; }).drvPath;
    expected = (image { }).drvPath;
  };
  imageIsTheSameWithADefaultGiven = {
    expr = (image { openapi = ""; }).drvPath;
    expected = (image { }).drvPath;
  };
  imageTellsTheLinkerAndHasLinks = {
    expr = map (layer: layer.name) (spec (image { lock = file cuda; })).layers;
    expected = map builtins.head cuda.layers;
  };
  imageIsTheSameFromAnotherMirror = {
    expr =
      (image {
        lock = file (
          lock
          // {
            wheels = map (
              wheel:
              wheel
              // {
                artifact = wheel.artifact // {
                  url = "https://other.example.org/${wheel.artifact.filename}";
                };
              }
            ) lock.wheels;
          }
        );
      }).outPath;
    expected = (image { }).outPath;
  };
  imageGivesWayToACommand = {
    expr = (image { command = "true"; }).name;
    expected = "run-invocation";
  };
}
