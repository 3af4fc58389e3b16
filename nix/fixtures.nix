/*
  What the tests of this library share: a small lock, and stand-ins that say what would be built.

  Type: { lock, locked, derive, store, … }
*/
rec {
  zeros = "0000000000000000000000000000000000000000000000000000000000000000";
  wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

  artifact = filename: {
    inherit filename;
    url = "https://mirror.example.org/pool/${filename}";
    sha256 = builtins.hashString "sha256" filename;
    size = 1;
  };
  deb = package: {
    inherit package;
    version = "1:2~3-4";
    architecture = "amd64";
    depends = [ ];
    artifact = artifact "${package}_2~3-4_amd64.deb";
  };
  wheel = name: {
    inherit name;
    version = "1.0";
    depends = [ ];
    artifact = artifact "${name}-1.0-py3-none-any.whl";
  };

  # As it is in a file, and as lock.nix reads it.
  lock = builtins.fromJSON (builtins.readFile ./fixtures/cog-nix.lock.json);
  locked = import ./lock.nix { platform = "linux/amd64"; } ./fixtures/cog-nix.lock.json;
  file = value: builtins.toFile "cog-nix.lock" (builtins.toJSON value);

  backwards =
    list:
    let
      length = builtins.length list;
    in
    builtins.genList (index: builtins.elemAt list (length - 1 - index)) length;
  shuffled =
    lock
    // builtins.mapAttrs (_name: backwards) {
      inherit (lock)
        base
        essential
        python
        system
        wheels
        environment
        labels
        ;
    };

  # Of an image with parts of CUDA and a file that is a link.
  cuda = lock // {
    wheels = lock.wheels ++ [ (wheel "nvidia-cublas") ];
    links = [ [ "torch" [ [ "torch/lib.so" "torch/lib.so.1" ] ] ] ];
    layers = [
      [ "torch" [ "wheel:torch" "links:torch" ] ]
      [ "linker" [ "linker" ] ]
    ]
    ++ builtins.filter (layer: builtins.head layer != "torch") lock.layers;
  };

  # A compiler for GPUs, and how layers/toolkit.nix shows it.
  nvcc = {
    name = "CUDA 12.4";
    debs = [ (deb "nvcc") ];
    wheels = [ (wheel "headers") ];
    host_compiler = "13";
    environment = [ [ "FORCE_CUDA" "1" ] ];
    variables = [ "MAX_JOBS" ];
    commands = true;
  };
  toolkitOf =
    toolkit:
    import ./layers/toolkit.nix {
      inherit derive store;
      interpreter.minor = "3.13";
      locked = {
        wheels = [
          (wheel "nvidia-cublas-cu12")
          (wheel "torch")
          ((wheel "nvidia-from-source") // { source = { }; })
        ];
      }
      // toolkit;
      environment = [ [ "FORCE_CUDA" "0" ] [ "MAX_JOBS" "1" ] [ "MODEL" "x" ] ];
    };

  # Stands in for store.nix: a file is its name.
  store = import ./store.nix // {
    file = artifact: artifact.filename;
  };
  # Stands in for derive.nix: says what would be built.
  derive = {
    seed = "/the/seed";
    many = builder: args: derive (args // { inherit builder; });
    __functor =
      _self: args:
      let
        built = "${args.name}: ${builtins.toJSON args.spec}";
        output = name: {
          inherit name;
          value = "${name} of ${built}";
        };
      in
      if args ? outputs then builtins.listToAttrs (map output args.outputs) else built;
  };
  # The spec of what stands for a derivation, its name cut off.
  specOf = text: builtins.fromJSON (builtins.elemAt (builtins.match "[^{]*: ([{].*)" text) 0);

  amd64 = import ./platform.nix { core = ../cog_nix; platform = "linux/amd64"; };
  seed = import ./seed.nix lock.seed;
  start = import ./start.nix {
    inherit seed;
    core = ../cog_nix;
    host = amd64;
    target = amd64;
    inherit (lock.seed) python;
  };
  realDerive = import ./derive.nix { inherit seed start; };

  image =
    changes:
    import ./default.nix (
      {
        lock = file lock;
        project = ./layers;
        name = "cog-test";
        config = "debs.nix";
      }
      // changes
    );
  # What a derivation's builder is told.
  spec = drv: builtins.fromJSON (builtins.unsafeDiscardStringContext drv.spec);
  description =
    overlay:
    import ./description.nix {
      inherit derive;
      locked = locked // {
        environment = [ [ "NAME" "value" ] ];
      };
      name = "cog-test";
      tag = "cog-test:latest";
      labels = { };
      layers = [
        {
          name = "base";
          path = "/base";
        }
        {
          name = "source";
          path = null;
        }
      ];
      certificates = [ "/certificate" ];
      user = "";
      packages = [ ];
      closures = import ./layers/closures.nix { inherit derive; };
      folder = _: throw "not asked for";
      overlay = builtins.toFile "overlay.nix" overlay;
    };

  fails = value: !(builtins.tryEval (builtins.deepSeq value null)).success;
}
