/*
  Unit tests of this library: what is expected, beside what is. tests/nix/test_library.py compares them.

  Type: { NAME = { expr : any, expected : any }; }

  Example:
    nix-instantiate --eval --strict nix/tests.nix -A storeNameOfADeb
    => { expected = "a-b_1-2.deb"; expr = "a-b_1-2.deb"; }
*/
let
  store = import ./store.nix;
  zeros32 = "00000000000000000000000000000000";
  zeros = "0000000000000000000000000000000000000000000000000000000000000000";

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

  lock = {
    version = 2;
    inputs = "sha256:${zeros}";
    suite = "trixie";
    indexes = [ ];
    seed = {
      python = "3.13";
      nar_sha256 = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
      debs = [ ];
      wheels = [ ];
    };
    interpreter = {
      kind = "debian";
      version = "3.13.5";
      executable = "/usr/bin/python3.13";
    };
    base = map deb [
      "bash"
      "libc6"
    ];
    essential = map deb [
      "login"
      "perl-base"
    ];
    python = map deb [
      "libpython3.13-minimal"
      "python3.13"
    ];
    system = map deb [
      "ffmpeg"
      "git"
    ];
    libraries = map deb [ "libgl1" ];
    linked = map deb [ "libzmq5" ];
    build = map deb [ "gcc" ];
    runs = [ ];
    reasons = [ ];
    packages = [ ];
    wheels = map wheel [
      "cog"
      "numpy"
      "torch"
    ];
    layers = [
      [
        "base"
        [
          "deb:bash"
          "deb:libc6"
        ]
      ]
      [
        "python"
        [
          "deb:libpython3.13-minimal"
          "deb:python3.13"
          "state:base"
          "venv"
        ]
      ]
      [
        "torch"
        [ "wheel:torch" ]
      ]
      [
        "essential"
        [
          "deb:login"
          "deb:perl-base"
          "state:essential"
        ]
      ]
      [
        "system-packages"
        [
          "deb:ffmpeg"
          "deb:git"
          "deb:libgl1"
          "state:system"
        ]
      ]
      [
        "sdk"
        [ "wheel:cog" ]
      ]
      [
        "python-packages"
        [ "wheel:numpy" ]
      ]
      [
        "source"
        [ "source" ]
      ]
    ];
    environment = [
      [
        "A"
        "1"
      ]
      [
        "B"
        "2"
      ]
    ];
    labels = [
      [
        "a.example"
        "1"
      ]
      [
        "b.example"
        "2"
      ]
    ];
  };

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

  file = value: builtins.toFile "cog-nix.lock" (builtins.toJSON value);
  # Libraries that nobody named are installed with what the project names.
  read = lock // {
    system = lock.system ++ lock.libraries;
  };
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
  fails = value: !(builtins.tryEval (builtins.deepSeq value null)).success;

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
  group = import ./layers/group.nix { inherit derive; } {
    a = "/fragment-a";
    b = "/fragment-b";
    source = null;
  };
  closures = import ./layers/closures.nix { inherit derive; };
  certificate = import ./layers/certificate.nix { inherit derive; };
  blob = import ./layers/blob.nix { inherit derive; };
  # The image as registries hold it, of two layers.
  oci = import ./oci.nix {
    inherit derive;
    blob = layer: "/blob-${layer.name}";
    description = description "final: prev: { }";
    image = "/image";
  };
  package = args: import ./package.nix ({ flake = ""; } // args);
  description =
    overlay:
    import ./description.nix {
      inherit derive;
      locked = lock // {
        environment = [
          [
            "NAME"
            "value"
          ]
        ];
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
      packages = [ ];
      inherit closures;
      folder = _: throw "not asked for";
      overlay = builtins.toFile "overlay.nix" overlay;
    };
  # A compiler for GPUs, and how layers/toolkit.nix shows it.
  nvcc = {
    name = "CUDA 12.4";
    debs = [ (deb "nvcc") ];
    wheels = [ (wheel "headers") ];
    host_compiler = "13";
    environment = [
      [
        "FORCE_CUDA"
        "1"
      ]
    ];
    variables = [ "MAX_JOBS" ];
    commands = true;
  };
  toolkitOf =
    toolkit:
    import ./layers/toolkit.nix {
      derive = args: "${args.name}: ${builtins.toJSON args.spec}";
      store = store // {
        file = artifact: artifact.filename;
      };
      interpreter.minor = "3.13";
      locked = {
        wheels = [
          (wheel "nvidia-cublas-cu12")
          (wheel "torch")
          ((wheel "nvidia-from-source") // { source = { }; })
        ];
      }
      // toolkit;
      environment = [
        [
          "FORCE_CUDA"
          "0"
        ]
        [
          "MAX_JOBS"
          "1"
        ]
        [
          "MODEL"
          "x"
        ]
      ];
    };
  noToolkit = toolkitOf { };
  # What the linker is told of wheels of these names.
  linkerOf =
    names:
    import ./layers/linker.nix {
      inherit derive;
      locked.wheels = map wheel names;
    } { wheels = builtins.listToAttrs (map (name: { name = "wheel:${name}"; value = "/${name}"; }) names); };
  # The lock of an image with parts of CUDA and a file that is a link.
  cuda = lock // {
    wheels = lock.wheels ++ [ (wheel "nvidia-cublas") ];
    links = [
      [
        "torch"
        [
          [
            "torch/lib.so"
            "torch/lib.so.1"
          ]
        ]
      ]
    ];
    layers = [
      [
        "torch"
        [
          "wheel:torch"
          "links:torch"
        ]
      ]
      [
        "linker"
        [ "linker" ]
      ]
    ]
    ++ builtins.filter (layer: builtins.head layer != "torch") lock.layers;
  };
  wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  runsWith =
    derive: args:
    import ./layers/runs.nix (
      {
        inherit derive store;
        interpreter = {
          minor = "3.13";
          tree = "/tree";
          fragments.venv = "/venv";
        };
        debs = {
          image = [ "/image" ];
          build = [
            "/image"
            "/build"
          ];
        };
        wheels."wheel:numpy" = "/numpy";
        toolkit = noToolkit;
        locked = lock // {
          runs = [
            {
              command = "one";
              nar_sha256 = wrong;
            }
            {
              command = "two";
              nar_sha256 = wrong;
            }
          ];
        };
      }
      // args
    );
  runs = runsWith derive;
  # Each result is what its builder is told.
  runSpecs = args: (runsWith (args: args.spec // { __toString = _self: args.name; }) args).results;
  seed = import ./seed.nix lock.seed;
  start = import ./start.nix {
    inherit seed;
    core = ../cog_nix;
    inherit (lock.seed) python;
  };
  realDerive = import ./derive.nix { inherit seed start; };
  # What cog-nix is told about a command, its derivation aside.
  invocationOf =
    args:
    (runsWith {
      __functor = _self: args: args.spec // { __toString = _self: args.name; };
      beside = args: { inherit (args) builder spec; };
    } args).invocation;
  wheels = wheelsWith noToolkit;
  wheelsWith = toolkit: import ./layers/wheels.nix {
    inherit toolkit;
    derive = {
      __functor = _self: args: "${args.name}: ${builtins.toJSON args.spec}";
      many = _common: args: "${args.name}: ${builtins.toJSON args.spec}";
    };
    store = store // {
      file = artifact: artifact.filename;
    };
    interpreter = {
      minor = "3.13";
      tree = "/tree";
      headers = "include";
      fragments.venv = "/venv";
    };
    debs.build = [ "/debian" ];
    locked.wheels = [
      (wheel "plain")
      (
        (wheel "cudnn")
        // {
          artifact = artifact "cudnn-1.0-py3-none-any.whl" // {
            size = 600 * 1024 * 1024;
          };
        }
      )
      (
        (wheel "torch")
        // {
          source = {
            kind = "sdist";
            subdirectory = "sub";
            isolated = true;
            sees = [ ];
            requires = [ (wheel "setuptools") ];
          };
        }
      )
      (
        (wheel "flash")
        // {
          origin = "https://example.org/flash.zip#sha256=00";
          depends = [ "torch" ];
          source = {
            kind = "archive";
            subdirectory = "";
            isolated = false;
            sees = [ "plain" ];
            requires = [ ];
            device_code = true;
          };
        }
      )
    ];
  };
  # The spec of what stands for a derivation, its name cut off.
  specOf = text: builtins.fromJSON (builtins.elemAt (builtins.match "[^{]*: ([{].*)" text) 0);
  interpreter = version: interpreterWith { inherit version; };
  interpreterWith =
    chosen:
    import ./layers/interpreter.nix {
      inherit derive;
      store = store // {
        file = artifact: artifact.filename;
      };
      locked = lock // {
        interpreter = lock.interpreter // chosen;
        base = map deb [
          "bash"
          "libc6"
          "libssl3t64"
          "zlib1g"
        ];
      };
    };
in
{
  # store.nix

  storeNameOfADeb = {
    expr = store.name "a~b_1:2.deb";
    expected = "a-b_1-2.deb";
  };
  storeNameKeepsWhatIsLegal = {
    expr = store.name "torch-2.5.1+cu124=x?y._-Z9.whl";
    expected = "torch-2.5.1+cu124=x?y._-Z9.whl";
  };
  storeNameOfManyIllegal = {
    expr = store.name "a  %b";
    expected = "a---b";
  };
  storeFileIsNamedAfterItsFile = {
    expr = (store.file (artifact "a~1.deb")).name;
    expected = "a-1.deb";
  };
  storeFileDoesNotDependOnWhereItIs = {
    expr = (store.file (artifact "a.deb" // { url = "https://other.example.org/a.deb"; })).outPath;
    expected = (store.file (artifact "a.deb")).outPath;
  };
  storeFileDependsOnItsContent = {
    expr = (store.file (artifact "a.deb" // { sha256 = zeros; })).outPath == (store.file (artifact "a.deb")).outPath;
    expected = false;
  };

  # lock.nix

  lockReads = {
    expr = import ./lock.nix (file lock);
    expected = read;
  };
  lockIsSorted = {
    expr = import ./lock.nix (file shuffled);
    expected = read;
  };
  lockKeepsTheOrderOfLayers = {
    expr = (import ./lock.nix (file (lock // { layers = backwards lock.layers; }))).layers;
    expected = backwards lock.layers;
  };
  lockOfAnotherVersion = {
    expr = fails (import ./lock.nix (file (lock // { version = 4; })));
    expected = true;
  };
  lockWithoutAVersion = {
    expr = fails (import ./lock.nix (file (removeAttrs lock [ "version" ])));
    expected = true;
  };

  # seed.nix

  seedIsKnownByContent = {
    expr = (import ./seed.nix (lock.seed // { debs = [ (deb "other") ]; })).outPath;
    expected = (import ./seed.nix lock.seed).outPath;
  };
  seedName = {
    expr = (import ./seed.nix lock.seed).name;
    expected = "cog-nix-seed-3.13";
  };

  # start.nix, derive.nix

  builderBesideNixIsTheSame = {
    expr =
      let
        arguments = {
          name = "x";
          builder = "folder";
          spec.a = 1;
        };
        told = realDerive.beside arguments;
        made = realDerive arguments;
      in
      [
        (told.command == [ made.builder ] ++ made.args)
        (told.environment.PYTHONPATH == made.PYTHONPATH)
        told.spec
      ];
    expected = [
      true
      true
      { a = 1; }
    ];
  };

  # layers/group.nix

  groupOfOneFragmentIsThatFragment = {
    expr = group [
      "alone"
      [ "a" ]
    ];
    expected = {
      name = "alone";
      path = "/fragment-a";
    };
  };
  groupOfSeveralIsTied = {
    expr = group [
      "both"
      [
        "b"
        "a"
      ]
    ];
    expected = {
      name = "both";
      path = "layer-both: {\"fragments\":[\"/fragment-b\",\"/fragment-a\"],\"name\":\"both\"}";
    };
  };
  groupOfTheProjectIsMadeLater = {
    expr = group [
      "source"
      [ "source" ]
    ];
    expected = {
      name = "source";
      path = null;
    };
  };
  groupOfWhatIsNotLocked = {
    expr = fails (group [
      "odd"
      [ "wheel:unknown" ]
    ]);
    expected = true;
  };

  # layers/interpreter.nix

  interpreterOfTheSeedsVersionIsTheSeed = {
    expr = (interpreter "3.13.9").tree;
    expected = "/the/seed";
  };
  interpreterOfAnotherVersionIsUnpackedFromWhatItNeeds = {
    expr = (interpreter "3.11.2").tree;
    expected = "python-3.11.2-tree: ${
      builtins.toJSON {
        debs = map (name: "${name}_2~3-4_amd64.deb") [
          "libc6"
          "libssl3t64"
          "zlib1g"
          "libpython3.13-minimal"
          "python3.13"
        ];
      }
    }";
  };
  interpreterOfAnArchiveIsUnpackedAndRunsInBuilds = {
    expr =
      let
        unpacked = interpreterWith {
          version = "3.12.11";
          artifact = artifact "cpython-3.12.11.tar.gz";
        };
      in
      {
        inherit (unpacked) tree minor headers;
        fragments = builtins.attrNames unpacked.fragments;
      };
    expected = {
      tree = "tree of python-3.12.11: ${
        builtins.toJSON {
          archive = "cpython-3.12.11.tar.gz";
          python = "3.12";
          seed = "/the/seed";
        }
      }";
      minor = "3.12";
      headers = "include/python3.12";
      fragments = [ "interpreter" ];
    };
  };
  interpreterMinor = {
    expr = (interpreter "3.11.2").minor;
    expected = "3.11";
  };

  # layers/closures.nix

  closuresAreALayerEach = {
    expr = map (layer: layer.name) (closures [
      (builtins.derivation {
        name = "tool-1.0";
        system = "x86_64-linux";
        builder = "/none";
      })
      "/nix/store/${zeros32}-greetings"
    ]);
    expected = [
      "nix-tool-1.0"
      "nix-greetings"
    ];
  };
  closuresLeaveOutWhatIsBelow = {
    expr = (builtins.elemAt (closures [ "/nix/store/${zeros32}-a" "/nix/store/${zeros32}-b" ]) 1).path;
    expected = "nix-b: {\"below\":1,\"package\":\"/nix/store/${zeros32}-b\"}";
  };
  closuresOfWhatIsNoPackage = {
    expr = fails (closures [ 1 ]);
    expected = true;
  };

  # layers/blob.nix, oci.nix

  blobIsMadeOfALayer = {
    expr = blob {
      name = "base";
      path = "/base";
    };
    expected = "blob-base: {\"path\":\"/base\"}";
  };
  ociCompressesTheProjectItself = {
    expr = oci;
    expected = "cog-test-oci: ${
      builtins.toJSON {
        blobs = [
          "/blob-base"
          "/blob-certificate"
          null
        ];
        image = "/image";
        tag = "cog-test:latest";
      }
    }";
  };
  ociHasABlobForEachLayer = {
    expr = builtins.length (spec (image { }).oci).blobs;
    expected = builtins.length lock.layers;
  };
  ociHasABlobForEachLayerButTheSource = {
    expr = builtins.filter builtins.isNull (spec (image { }).oci).blobs;
    expected = [ null ];
  };

  # layers/certificate.nix

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

  # layers/folder.nix

  folderIsALayer = {
    expr =
      (import ./layers/folder.nix { inherit derive; } {
        name = "voices";
        path = ./layers;
        to = "/opt/voices";
      }).name;
    expected = "voices";
  };

  # package.nix

  packageOfAFile = {
    expr = package {
      file = file "a value";
      attribute = "";
    };
    expected = "a value";
  };
  packageOfAFunctionInAFile = {
    expr = package {
      file = builtins.toFile "function.nix" "{ word ? 7 }: { a.b = word; }";
      attribute = "a.b";
    };
    expected = 7;
  };
  packageThatAFileLacks = {
    expr = fails (package {
      file = builtins.toFile "empty.nix" "{ }";
      attribute = "a";
    });
    expected = true;
  };

  # description.nix

  descriptionKeepsTheProjectOnTop = {
    expr = map (layer: layer.name) (description "final: prev: { layers = prev.layers ++ [ { name = \"more\"; path = \"/more\"; } ]; }").layers;
    expected = [
      "base"
      "more"
      "certificate"
      "source"
    ];
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

  # layers/linker.nix

  linkerReadsWhatNvidiaMakes = {
    expr = specOf (linkerOf [
      "nvidia-cublas"
      "torch"
    ] [ "/system" ]).linker;
    expected = {
      lower = [ "/system" ];
      wheels = [ "/nvidia-cublas" ];
    };
  };
  linkerIsNotThereWithoutAny = {
    expr = linkerOf [ "torch" ] [ "/system" ];
    expected = { };
  };

  # layers/links.nix

  linksAreOneFragmentAWheel = {
    expr = builtins.mapAttrs (_name: specOf) (
      import ./layers/links.nix {
        inherit derive store;
        interpreter.minor = "3.13";
        locked = cuda;
      }
    );
    expected."links:torch" = {
      name = "torch";
      python = "3.13";
      links = [
        [
          "torch/lib.so"
          "torch/lib.so.1"
        ]
      ];
    };
  };
  linksAreNoneInMostLocks = {
    expr = import ./layers/links.nix {
      inherit derive store;
      interpreter.minor = "3.13";
      locked = lock;
    };
    expected = { };
  };

  # layers/runs.nix

  runResultsAreNamedByNumber = {
    expr = builtins.attrNames (runs { }).fragments;
    expected = [
      "run:0"
      "run:1"
    ];
  };
  runSeesEveryResultBeforeIt = {
    expr = map (told: builtins.length told.results) (runSpecs { });
    expected = [
      0
      1
    ];
  };
  runHasToolsThatTheImageLacks = {
    expr = (builtins.head (runSpecs { })).tools;
    expected = [ "/build" ];
  };
  runSeesVariablesOfPluginsAndProject = {
    expr =
      (builtins.head (runSpecs {
        environment = [
          [
            "B"
            "3"
          ]
        ];
      })).environment;
    expected = lock.environment ++ [
      [
        "B"
        "3"
      ]
    ];
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
    expected = [
      "run"
      "three"
      2
    ];
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
      first = [
        "FORCE_CUDA"
        "1"
      ];
    };
  };

  # layers/toolkit.nix

  toolkitIsMadeOfItsFilesAndTheProjectsLibraries = {
    expr = specOf (builtins.head (toolkitOf { toolkit = nvcc; }).commands.fragments);
    expected = {
      debs = [ "nvcc_2~3-4_amd64.deb" ];
      wheels = [
        {
          name = "headers";
          version = "1.0";
          path = "headers-1.0-py3-none-any.whl";
        }
      ];
      libraries = [ "nvidia-cublas-cu12-1.0-py3-none-any.whl" ];
      python = "3.13";
      host_compiler = "13";
    };
  };
  toolkitIsForCommandsThatNeedIt = {
    expr = map (toolkit: builtins.length (toolkitOf toolkit).commands.programs) [
      { }
      { toolkit = nvcc; }
      { toolkit = nvcc // { commands = false; }; }
    ];
    expected = [
      0
      1
      0
    ];
  };
  toolkitIsForSourcesWithDeviceCode = {
    expr = map (source: builtins.length ((toolkitOf { toolkit = nvcc; }).build source).fragments) [
      { }
      { device_code = true; }
    ];
    expected = [
      0
      1
    ];
  };
  toolkitHandsSourcesTheProjectsVariablesThatCount = {
    expr = ((toolkitOf { toolkit = nvcc; }).build { device_code = true; }).environment;
    expected = [
      [
        "FORCE_CUDA"
        "1"
      ]
      [
        "FORCE_CUDA"
        "0"
      ]
      [
        "MAX_JOBS"
        "1"
      ]
    ];
  };

  # layers/wheels.nix

  wheelWithDeviceCodeIsBuiltWithTheToolkit = {
    expr =
      let
        built = wheelsWith (toolkitOf { toolkit = nvcc; });
        told = specOf (specOf built."wheel:flash").wheel;
      in
      {
        inherit (told) programs;
        sees = builtins.length told.sees;
        others = (specOf (specOf built."wheel:torch").wheel) ? programs;
      };
    expected = {
      programs = [ "/usr/local/cuda/bin" ];
      sees = 2;
      others = false;
    };
  };
  wheelThatIsLockedIsInstalled = {
    expr = (specOf wheels."wheel:plain").wheel;
    expected = "plain-1.0-py3-none-any.whl";
  };
  wheelThatTakesLongIsBegunEarly = {
    expr = map (name: builtins.head (builtins.split ":" wheels.${name})) [
      "wheel:cudnn"
      "wheel:plain"
    ];
    expected = [
      "big-cudnn-1.0"
      "plain-1.0"
    ];
  };
  wheelHasNoOriginUnlessNamed = {
    expr = map (name: (specOf wheels.${name}).origin or null) [
      "wheel:plain"
      "wheel:flash"
    ];
    expected = [
      null
      "https://example.org/flash.zip#sha256=00"
    ];
  };
  wheelFromSourceIsBuiltFirst = {
    expr = removeAttrs (specOf (specOf wheels."wheel:torch").wheel) [ "root" ];
    expected = {
      name = "torch";
      version = "1.0";
      depends = [ ];
      subdirectory = "sub";
      python = "3.13";
      archive = "torch-1.0-py3-none-any.whl";
      sees = [ ];
      requires = [
        {
          filename = "setuptools-1.0-py3-none-any.whl";
          path = "setuptools-1.0-py3-none-any.whl";
        }
      ];
    };
  };
  wheelFromSourceIsBuiltInTheBuildSystem = {
    expr = (specOf (specOf (specOf wheels."wheel:torch").wheel).root).lower;
    expected = [
      "/debian"
      "/venv"
    ];
  };
  wheelWithoutIsolationSeesThoseOfTheImage = {
    expr = (specOf (specOf wheels."wheel:flash").wheel).sees;
    expected = [ wheels."wheel:plain" ];
  };

  # default.nix, image.nix, layers/debs.nix, layers/wheels.nix, layers/source.nix

  deriveFixesAnOutput = {
    expr =
      let
        drv = realDerive {
          name = "fixed";
          builder = "folder";
          spec = { };
          fixed = wrong;
        };
      in
      [
        drv.outputHash
        drv.outputHashMode
      ];
    expected = [
      wrong
      "recursive"
    ];
  };

  imageHasTheLocksLayersInOrder = {
    expr = map (layer: layer.name) (spec (image { })).layers;
    expected = map builtins.head lock.layers;
  };
  imageHasLargeFilesBelowTheProject = {
    expr = map (layer: layer.name) (spec (image {
      included."cog.yaml" = 1;
      weights."default.nix" = 1;
    })).layers;
    expected = map builtins.head (
      builtins.filter (layer: builtins.head layer != "source") lock.layers
    ) ++ [
      "weights"
      "source"
    ];
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
  imageDependsOnItsLabels = {
    expr = (image { labels.a = "b"; }).drvPath == (image { }).drvPath;
    expected = false;
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
  imageCarriesTheSdksVersion = {
    expr = (spec (image { })).project.version;
    expected = "1.0";
  };
  imageGivesWayToACommand = {
    expr = (image { command = "true"; }).name;
    expected = "run-invocation";
  };
  imageHasNoEssentialStateWithoutAny = {
    expr = fails (image {
      lock = file (lock // { essential = [ ]; });
    }).drvPath;
    expected = true;
  };
}
