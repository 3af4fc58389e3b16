/*
  Fragments of the wheels, one each.

  Type: { derive, store, locked, interpreter } -> { "wheel:NAME" = store path; }
*/
{
  derive,
  store,
  locked,
  interpreter,
}:
builtins.listToAttrs (
  map (wheel: {
    name = "wheel:${wheel.name}";
    value = "${derive {
      name = store.name "${wheel.name}-${wheel.version}";
      builder = "wheel";
      modules = [
        "archive"
        "bytecode"
        "deb"
        "python_tree"
      ];
      spec = {
        wheel = "${store.file wheel.artifact}";
        inherit (wheel.artifact) filename;
        python = interpreter.minor;
        inherit (interpreter) tree headers;
      };
    }}";
  }) locked.wheels
)
