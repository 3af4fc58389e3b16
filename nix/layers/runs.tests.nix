# Results of commands.
{ derive, realDerive, store, lock, locked, toolkitOf, nvcc, wrong, ... }:
let
  runsWith =
    derive: args:
    import ./runs.nix (
      {
        inherit derive store;
        interpreter = {
          minor = "3.13";
          tree = "/tree";
          fragments.venv = "/venv";
        };
        debs = {
          image = [ "/image" ];
          build = [ "/image" "/build" ];
        };
        wheels = builtins.mapAttrs (name: _: "/${name}") { cog = 1; numpy = 1; torch = 1; };
        toolkit = toolkitOf { };
        locked = locked // {
          runs = map (command: { inherit command; nar_sha256 = wrong; }) [ "one" "two" ];
        };
      }
      // args
    );
  # Each result is what its builder is told.
  runSpecs = args: (runsWith (args: args.spec // { __toString = _self: args.name; }) args).results;
  # What cog-nix is told about a command, its derivation aside.
  invocationOf =
    args:
    (runsWith {
      __functor = _self: args: args.spec // { __toString = _self: args.name; };
      beside = args: { inherit (args) builder spec; };
    } args).invocation;
in
{
  runResultsAreNamedByNumber = {
    expr = map (fragment: builtins.head (builtins.split ":" fragment)) (runsWith derive { }).fragments;
    expected = [ "layer-run-0" "layer-run-1" ];
  };
  runSeesEveryResultBeforeIt = {
    expr = map (told: builtins.length told.results) (runSpecs { });
    expected = [ 0 1 ];
  };
  runHasToolsThatTheImageLacks = {
    expr = (builtins.head (runSpecs { })).tools;
    expected = [ "/build" ];
  };
  runSeesVariablesOfPluginsAndProject = {
    expr =
      (builtins.head (runSpecs {
        environment = [ [ "B" "3" ] ];
      })).environment;
    expected = lock.environment ++ [ [ "B" "3" ] ];
  };
  runThatIsNewComesAfterThoseInTheLock = {
    expr =
      let
        told = invocationOf { command = "three"; };
      in
      [
        told.builder
        told.spec.command
        (builtins.length told.spec.results)
      ];
    expected = [ "run" "three" 2 ];
  };
  runGoesByItsHashInTheStore = {
    expr = map (run: run.outputHash) (runsWith realDerive { }).results;
    expected = [
      wrong
      wrong
    ];
  };
  runHasNoProgramsWithoutAToolkit = {
    expr = (builtins.head (runSpecs { })) ? programs;
    expected = false;
  };
  runSeesTheToolkitAndWhereItsProgramsAre = {
    expr =
      let
        told = builtins.head (runSpecs {
          toolkit = toolkitOf { toolkit = nvcc; };
        });
      in
      {
        inherit (told) programs;
        tools = builtins.length told.tools;
        first = builtins.head told.environment;
      };
    expected = {
      programs = [ "/usr/local/cuda/bin" ];
      tools = 2;
      first = [ "FORCE_CUDA" "1" ];
    };
  };
}
