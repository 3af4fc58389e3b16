/*
  The project's Python: a tree that runs inside builds, for compiling bytecode, and what /usr/local is: a virtual
  environment of Debian's Python, or a Python that was unpacked there.

  Type: { derive, store, locked } -> { tree : store path, minor : string, headers : string, fragments : attrset }
*/
{
  derive,
  store,
  locked,
  # Whether the image is for another platform than builders run on.
  foreign ? false,
}:
let
  inherit (locked) interpreter;
  minor = builtins.concatStringsSep "." (
    builtins.genList (builtins.elemAt (builtins.splitVersion interpreter.version)) 2
  );

  debian = {
    # The seed compiles what it is the same version of; anything else is unpacked once.
    tree =
      if minor == locked.seed.python then
        "${derive.seed}"
      else
        own;
    # Where pip puts a wheel's headers in a virtual environment.
    headers = "include/site/python${minor}";
    fragments.venv = "${derive {
      name = "venv";
      builder = "venv";
      spec = {
        python = minor;
        inherit (interpreter) version executable;
      };
    }}";
  };
  # What a Python of the image's runs on, and Debian's own Python where that is the image's.
  own = "${derive {
    name = "python-${interpreter.version}-tree";
    builder = "tree";
    spec.debs = map (deb: "${store.file deb.artifact}") needed;
  }}";
  needed = builtins.filter (
    deb:
    builtins.match "lib(c6|expat1|ssl.*|ffi.*|bz2.*|lzma.*|z.*|uuid1|gcc-s1|sqlite3.*)|zlib1g|(lib)?python.*" deb.package
    != null
  ) (locked.base ++ locked.python);

  unpacked = derive {
    name = "python-${interpreter.version}";
    builder = "standalone";
    outputs = [ "out" "tree" ];
    spec = {
      archive = "${store.file interpreter.artifact}";
      python = minor;
      seed = if foreign then own else "${derive.seed}";
    };
  };
  standalone = {
    tree = "${unpacked.tree}";
    headers = "include/python${minor}";
    fragments.interpreter = "${unpacked.out}";
  };
in
{ inherit minor; } // (if interpreter ? artifact then standalone else debian)
