/*
  Fragments of the Debian packages: one a package, and what belongs to no single package.

  The base system (core and the rest of what is essential) and the interpreter are installed in one go, so that
  every project with the same lock of these shares them; the project's own packages are installed on top.

  Type: { derive, store, locked } -> { "deb:NAME" = store path; "state:base" = store path; … }
*/
{
  derive,
  store,
  locked,
}:
let
  output = deb: store.name "${deb.package}_${deb.version}";

  install =
    name: debs: apart: lower:
    derive {
      inherit name;
      builder = "debs";
      modules = [
        "archive"
        "deb"
        "namespace"
        "state"
      ];
      outputs = [ "out" ] ++ (if apart == [ ] then [ ] else [ "essential" ]) ++ map output debs;
      spec = {
        packages = map (deb: {
          name = deb.package;
          output = output deb;
          path = "${store.file deb.artifact}";
          core = !(builtins.elem deb apart);
        }) debs;
        inherit lower;
      };
    };

  fragments =
    group: drv: debs:
    builtins.listToAttrs (
      map (deb: {
        name = "deb:${deb.package}";
        value = "${drv.${output deb}}";
      }) debs
      ++ [
        {
          name = "state:${group}";
          value = "${drv.out}";
        }
      ]
    );

  debs = locked.base ++ locked.essential ++ locked.python;
  base = install "debian" debs locked.essential [ ];
  baseFragments =
    fragments "base" base debs
    // (if locked.essential == [ ] then { } else { "state:essential" = "${base.essential}"; });
  # Sorted by key, so that state:essential is laid over state:base.
  system = install "system" locked.system [ ] (builtins.attrValues baseFragments);
in
baseFragments // (if locked.system == [ ] then { } else fragments "system" system locked.system)
