{
  description = "Build Cog models into reproducible Docker images";

  outputs =
    { self }:
    let
      # What Nix calls the machines that images are built on, and what such a machine runs without an emulator.
      systems = {
        x86_64-linux = "linux/amd64";
        aarch64-linux = "linux/arm64";
      };
      forSystems = make: builtins.mapAttrs (system: _: make system) systems;

      # An image of a project that has been locked with `cog-nix lock`.
      image =
        {
          # What builds it; the image is for the same kind of machine, if `platform` says nothing else.
          system ? "x86_64-linux",
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
            platform = systems.${system};
            builder = systems.${system};
            labels = if self ? rev then { "org.opencontainers.image.revision" = self.rev; } else { };
          }
          // removeAttrs args [ "system" ]
        );

      entries = builtins.readDir ./examples;
      locked = builtins.filter (
        example: entries.${example} == "directory" && builtins.pathExists (./examples + "/${example}/cog-nix.lock")
      ) (builtins.attrNames entries);
    in
    {
      # lib.image { project = ./.; }: for the flake of a model's own repository.
      # lib.forSystems (system: …): the same for each kind of machine.
      lib = { inherit image forSystems; };

      # One package for each example that has been locked: nix build path:.#hello-world && ./result | docker load
      packages = forSystems (
        system:
        builtins.listToAttrs (
          map (example: {
            name = example;
            value = image {
              inherit system;
              project = ./examples + "/${example}";
              name = "cog-${example}";
            };
          }) locked
        )
      );
    };
}
