/*
  The compiler for GPUs that builds see, laid out at /usr/local/cuda. It is in no image.

  Type: { derive, store, locked, interpreter, environment } -> { commands : { fragments : [ store path ], programs : [ string ], environment : [ [ name value ] ] }, build : source -> the same }

  Example:
    (toolkit.build { device_code = true; }).fragments
    => [ "/nix/store/…-toolkit" ]
*/
{
  derive,
  store,
  locked,
  interpreter,
  # Variables that the project sets, as [ [ name value ] ].
  environment ? [ ],
  ...
}:
let
  toolkit = locked.toolkit or null;

  # Distributions of the project with libraries and headers that programs for GPUs use.
  provides = wheel: !(wheel ? source) && builtins.substring 0 7 wheel.name == "nvidia-";

  fragment = "${derive {
    name = "toolkit";
    builder = "toolkit";
    spec = {
      debs = map (deb: "${store.file deb.artifact}") toolkit.debs;
      wheels = map (wheel: {
        inherit (wheel) name version;
        path = "${store.file wheel.artifact}";
      }) toolkit.wheels;
      libraries = map (wheel: "${store.file wheel.artifact}") (builtins.filter provides locked.wheels);
      python = interpreter.minor;
      inherit (toolkit) host_compiler;
    };
  }}";

  wanted = map builtins.head toolkit.environment ++ toolkit.variables;
  seen = {
    fragments = [ fragment ];
    programs = [ "/usr/local/cuda/bin" ];
    environment = toolkit.environment;
  };
  none = {
    fragments = [ ];
    programs = [ ];
    environment = [ ];
  };
in
{
  # What commands see; the project's variables come to that.
  commands = if toolkit != null && toolkit.commands then seen else none;

  # What the build of a source sees.
  build =
    source:
    if toolkit != null && source.device_code or false then
      seen
      // {
        # Other variables of the project make no difference to a build, and must not repeat it.
        environment =
          toolkit.environment
          ++ builtins.filter (pair: builtins.elem (builtins.head pair) wanted) environment;
      }
    else
      none;
}
