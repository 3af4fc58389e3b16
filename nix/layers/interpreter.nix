/*
  The project's Python: a tree that runs inside builds, for compiling bytecode, and the virtual environment that
  /usr/local is.

  Type: { derive, store, locked } -> { tree : store path, minor : string, fragments : attrset }
*/
{
  derive,
  store,
  locked,
}:
let
  inherit (locked) interpreter;
  minor = builtins.concatStringsSep "." (
    builtins.genList (builtins.elemAt (builtins.splitVersion interpreter.version)) 2
  );
  needed = builtins.filter (
    deb:
    builtins.match "lib(c6|expat1|ssl.*|ffi.*|bz2.*|lzma.*|z.*|uuid1|gcc-s1|sqlite3.*)|zlib1g|(lib)?python.*" deb.package
    != null
  ) (locked.base ++ locked.python);
in
{
  inherit minor;

  # The seed compiles what it is the same version of; anything else is unpacked once.
  tree =
    if minor == locked.seed.python then
      "${derive.seed}"
    else
      "${derive {
        name = "python-${interpreter.version}-tree";
        builder = "tree";
        modules = [
          "deb"
          "python_tree"
          "bytecode"
        ];
        spec.debs = map (deb: "${store.file deb.artifact}") needed;
      }}";

  fragments.venv = "${derive {
    name = "venv";
    builder = "venv";
    modules = [ "archive" ];
    spec = {
      python = minor;
      inherit (interpreter) version executable;
    };
  }}";
}
