{
  outputs =
    { self }:
    {
      packages.x86_64-linux.default = builtins.path {
        name = "farewell";
        path = ./farewell;
      };
    };
}
