# Fragments tied into layers.
{ derive, fails, ... }:
let
  group = import ./group.nix { inherit derive; } {
    deb.a = "/fragment-a";
    deb.b = "/fragment-b";
    run = [ "/result" ];
    venv = "/venv";
    source = null;
  };
  member = name: {
    kind = "deb";
    inherit name;
  };
in
{
  groupOfOneFragmentIsThatFragment = {
    expr = group {
      name = "alone";
      members = [ (member "a") ];
    };
    expected = {
      name = "alone";
      path = "/fragment-a";
    };
  };
  groupOfSeveralIsTied = {
    expr = group {
      name = "both";
      members = map member [ "b" "a" ];
    };
    expected = {
      name = "both";
      path = "layer-both: {\"fragments\":[\"/fragment-b\",\"/fragment-a\"],\"name\":\"both\"}";
    };
  };
  groupOfTheProjectIsMadeLater = {
    expr = group {
      name = "source";
      members = [ { kind = "source"; } ];
    };
    expected = {
      name = "source";
      path = null;
    };
  };
  groupOfWhatIsNotLocked = {
    expr = map (member: fails (group { name = "odd"; members = [ member ]; })) [
      { kind = "wheel"; name = "unknown"; }
      { kind = "run"; index = 1; }
      { kind = "interpreter"; }
    ];
    expected = [ true true true ];
  };
  groupFindsMembersOfEachKind = {
    expr = map (member: (group { name = "one"; members = [ member ]; }).path) [
      { kind = "deb"; name = "a"; }
      { kind = "run"; index = 0; }
      { kind = "venv"; }
    ];
    expected = [ "/fragment-a" "/result" "/venv" ];
  };
}
