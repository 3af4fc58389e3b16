# A derivation whose output is what builder.py prints, run by the seed's Python in the seed's file system.
{ seed, facts }:
let
  root = builtins.storePath seed;
  platforms = builtins.fromJSON (builtins.readFile ../../cog_nix/system/platforms.json);
  host = builtins.head (
    builtins.filter (one: one.nix_system == builtins.currentSystem) (builtins.attrValues platforms)
  );
  told = {
    binds = {
      "/usr" = "${root}/usr";
    };
    command = [
      "/usr/${host.loader}"
      "--library-path"
      "/usr/lib/${host.triplet}"
      "/usr/bin/python3.13"
      "/escape.py"
      facts
    ];
    work = "/build";
    links = [
      "/proc/sys/vm/swappiness"
      "/proc/sys/kernel/core_pattern"
      "${root}/usr/bin/python3.13"
    ];
  };
in
derivation {
  name = "escape";
  system = host.nix_system;
  builder = "${root}/${host.loader}";
  args = [
    "--library-path"
    "${root}/usr/lib/${host.triplet}"
    "${root}/usr/bin/python3.13"
    "-B"
    "-c"
    ''
      import os, runpy, sys
      os.dup2(os.open(os.environ["out"], os.O_WRONLY | os.O_CREAT, 0o644), 1)
      sys.argv = ["builder", os.environ["told"]]
      runpy.run_path(os.environ["probe"] + "/builder.py", run_name="__main__")
    ''
  ];
  told = builtins.toJSON told;
  probe = "${./.}";
  PYTHONPATH = "${../../nix/builders}:${root}/site";
  preferLocalBuild = true;
  allowSubstitutes = false;
}
