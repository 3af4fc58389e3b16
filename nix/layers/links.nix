/*
  Fragments that lay links over files of wheels whose content is there already, one a wheel.

  Type: { derive, store, locked, interpreter } -> { "links:NAME" = store path; }

  Example:
    links
    => { "links:triton" = "/nix/store/…-triton-links"; }
*/
{
  derive,
  store,
  locked,
  interpreter,
}:
let
  link = derive.many "links";
in
builtins.listToAttrs (
  map (
    pair:
    let
      name = builtins.elemAt pair 0;
    in
    {
      name = "links:${name}";
      value = "${link {
        name = store.name "${name}-links";
        spec = {
          inherit name;
          python = interpreter.minor;
          links = builtins.elemAt pair 1;
        };
      }}";
    }
  ) (locked.links or [ ])
)
