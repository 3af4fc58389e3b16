final: prev: {
  environment = prev.environment // {
    MODEL = "small";
  };
  layers = prev.layers ++ [
    (final.lib.folder {
      name = "voices";
      path = ./voices;
      to = "/opt/voices";
    })
  ];
  config = {
    StopSignal = "SIGINT";
  };
}
