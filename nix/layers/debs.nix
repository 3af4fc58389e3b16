/*
  Fragments of the Debian packages: one a package, and what belongs to no single package.

  The base system (what every image has and the rest of what is essential) and the interpreter are installed in
  one go, so that every project with the same lock of these shares them; the project's own packages are installed
  on top, and on top of all that the compilers and tools that builds may count on.

  Type: { derive, store, locked } -> { fragments : { deb : { NAME = store path; }, state : { base = store path; … } }, image : [ store path ], build : [ store path ], linked : [ store path ] -> { deb, state } }
*/
{ derive, store, locked }:
let
  output = deb: store.name "${deb.package}_${deb.version}";
  isEssential = deb: builtins.elem deb locked.essential;

  /*
    Packages installed on top of a system: their fragments, and all of these in the order that they are laid over
    each other in. No two packages own one file, so only their state has to come last.
  */
  install =
    {
      name,
      # What the state of these packages is called.
      group,
      debs,
      lower ? [ ],
    }:
    let
      # An image without system packages leaves out what is essential for installing any, and its state.
      divided = lower == [ ] && locked.essential != [ ];
      installed = derive {
        inherit name;
        builder = "debs";
        outputs = [ "out" ] ++ (if divided then [ "essential" ] else [ ]) ++ map output debs;
        spec = {
          packages = map (deb: {
            name = deb.package;
            output = output deb;
            path = "${store.file deb.artifact}";
            always = lower != [ ] || !isEssential deb;
          }) debs;
          inherit lower;
        };
      };
      fragment = deb: "${installed.${output deb}}";
    in
    if debs == [ ] then
      {
        deb = { };
        state = { };
        order = [ ];
      }
    else
      {
        deb = builtins.listToAttrs (
          map (deb: {
            name = deb.package;
            value = fragment deb;
          }) debs
        );
        state = {
          ${group} = "${installed.out}";
        }
        // (if divided then { essential = "${installed.essential}"; } else { });
        order =
          map fragment debs
          ++ [ "${installed.out}" ]
          ++ (if divided then [ "${installed.essential}" ] else [ ]);
      };

  # Nix begins what is ready in the order of names, and everything waits for this one.
  base = install {
    name = "base-system";
    group = "base";
    debs = locked.base ++ locked.essential ++ locked.python;
  };
  # Most of it runs on one processor: it has to be under way while there are wheels for the others.
  system = install {
    name = "additional-packages";
    group = "system";
    debs = locked.system;
    lower = base.order;
  };
  image = base.order ++ system.order;
  build = install {
    name = "build";
    group = "build";
    debs = locked.build;
    lower = image;
  };
in
{
  fragments = {
    deb = base.deb // system.deb;
    state = base.state // system.state;
  };
  # The fragments of the image's system, and of the system that builds run in; later ones are laid over earlier ones.
  inherit image;
  build = image ++ build.order;

  # Fragments of the packages that results of commands link to, installed on top of these results.
  linked =
    results:
    install {
      name = "linked";
      group = "linked";
      debs = locked.linked;
      lower = image ++ results;
    };
}
