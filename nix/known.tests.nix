# What is known of layers.
{ description, image, spec, ... }:
let
  layer = {
    diff_id = "sha256:1";
    size = 10;
    digest = "sha256:2";
    compressed = 5;
  };
  known =
    {
      known ? {
        layers = { };
        frozen = { };
      },
      distributions ? [ "/store/a-wheel" ],
    }:
    import ./known.nix {
      description = description "final: prev: { }";
      inherit distributions known;
      results = [ ];
      python = "3.13.5";
    };
  nothing = known { };
  told = known {
    known = {
      layers = {
        base = layer;
      };
      frozen.${nothing.keys.frozen} = "a==1\n";
    };
  };
  base = {
    name = "base";
    path = "/base";
  };

  inherit (image { }) keys;
  whole = image {
    known = {
      layers = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = layer;
        }) (builtins.filter builtins.isString keys.layers)
      );
      frozen.${keys.frozen} = "";
    };
  };
in
{
  knownLayersGoByTheirStorePath = {
    expr = nothing.keys.layers;
    expected = [
      "base"
      "certificate"
      null
    ];
  };
  knownDistributionsGoByWhatTheyAre = {
    expr = nothing.keys.frozen == (known { distributions = [ "/store/b-wheel" ]; }).keys.frozen;
    expected = false;
  };
  knownLayersAreNotMade = {
    expr = [
      (told.layer base)
      (told.blob throw base)
    ];
    expected = [
      {
        name = "base";
        diff_id = "sha256:1";
        size = 10;
      }
      layer
    ];
  };
  knownOfNothingLayersAreMade = {
    expr = [
      (nothing.layer base)
      (nothing.blob (one: one.name) base)
    ];
    expected = [
      base
      "base"
    ];
  };
  knownDistributionsAreTold = {
    expr = [
      told.frozen
      nothing.frozen
    ];
    expected = [
      "a==1\n"
      null
    ];
  };
  knownKeysFollowFromTheLockAndTheProject = {
    expr = (image { }).keys == (image { labels.a = "b"; }).keys;
    expected = true;
  };
  knownKeysAreNoneWhereSomebodyElseTells = {
    expr = (image { labels."run.cog.pip_freeze" = ""; }).keys.frozen;
    expected = null;
  };
  knownImageDependsOnNoLayer = {
    expr = map (one: one.path or "none") (spec whole).layers ++ (spec whole).distributions;
    expected = map (key: if key == null then null else "none") keys.layers;
  };
}
