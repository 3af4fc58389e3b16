/*
  Fragments of the Debian packages: one a package, and what belongs to no single package.

  The base system (core and the rest of what is essential) and the interpreter are installed in one go, so that
  every project with the same lock of these shares them; the project's own packages are installed on top, and on
  top of all that the compilers and tools that builds may count on.

  Type: { derive, store, locked } -> { fragments : { "deb:NAME" = store path; "state:base" = store path; … }, image : [ store path ], build : [ store path ], linked : [ store path ] -> attrset }
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
  # Nix begins what is ready in the order of names, and everything waits for this one.
  base = install "base-system" debs locked.essential [ ];
  baseFragments =
    fragments "base" base debs
    // (if locked.essential == [ ] then { } else { "state:essential" = "${base.essential}"; });
  # Sorted by key, so that state:essential is laid over state:base.
  below = builtins.attrValues baseFragments;
  system = install "system" locked.system [ ] below;
  systemFragments = if locked.system == [ ] then { } else fragments "system" system locked.system;
  image = below ++ builtins.attrValues systemFragments;
  build = install "build" locked.build [ ] image;
  buildFragments = if locked.build == [ ] then { } else fragments "build" build locked.build;
in
{
  fragments = baseFragments // systemFragments;
  # The fragments of the image's system, and of the system that builds run in; later ones are laid over earlier ones.
  inherit image;
  build = image ++ builtins.attrValues buildFragments;

  # Fragments of the packages that results of commands link to, installed on top of these results.
  linked =
    results:
    if locked.linked == [ ] then
      { }
    else
      fragments "linked" (install "linked" locked.linked [ ] (image ++ results)) locked.linked;
}
