# A package that needs no nixpkgs.
{
  greetings = builtins.path {
    name = "greetings";
    path = ./greetings;
  };
}
