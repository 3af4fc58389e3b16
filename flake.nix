{
  description = "Build Cog models into reproducible Docker images";

  outputs =
    { self }:
    let
      # An image of a project that has been locked with `cog-nix lock`.
      image =
        {
          # Folder with cog.yaml and cog-nix.lock.
          project,
          # Name of the image.
          name ? "cog-${baseNameOf (toString project)}",
          # Further arguments of ./nix/default.nix.
          ...
        }@args:
        import ./nix (
          {
            inherit name;
            lock = project + "/cog-nix.lock";
            labels = if self ? rev then { "org.opencontainers.image.revision" = self.rev; } else { };
          }
          // args
        );

      entries = builtins.readDir ./examples;
      locked = builtins.filter (
        example: entries.${example} == "directory" && builtins.pathExists (./examples + "/${example}/cog-nix.lock")
      ) (builtins.attrNames entries);
    in
    {
      # lib.image { project = ./.; }: for the flake of a model's own repository.
      lib = { inherit image; };

      # One package for each example that has been locked: nix build path:.#hello-world && ./result | docker load
      packages.x86_64-linux = builtins.listToAttrs (
        map (example: {
          name = example;
          value = image {
            project = ./examples + "/${example}";
            name = "cog-${example}";
          };
        }) locked
      );
    };
}
