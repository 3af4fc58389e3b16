# A compiler for GPUs.
{ nvcc, toolkitOf, specOf, ... }:
{
  toolkitIsMadeOfItsFilesAndTheProjectsLibraries = {
    expr = specOf (builtins.head (toolkitOf { toolkit = nvcc; }).commands.fragments);
    expected = {
      debs = [ "nvcc_2~3-4_amd64.deb" ];
      wheels = [
        {
          name = "headers";
          version = "1.0";
          path = "headers-1.0-py3-none-any.whl";
        }
      ];
      libraries = [ "nvidia-cublas-cu12-1.0-py3-none-any.whl" ];
      python = "3.13";
      host_compiler = "13";
    };
  };
  toolkitIsForCommandsThatNeedIt = {
    expr = map (toolkit: builtins.length (toolkitOf toolkit).commands.programs) [
      { }
      { toolkit = nvcc; }
      { toolkit = nvcc // { commands = false; }; }
    ];
    expected = [ 0 1 0 ];
  };
  toolkitIsForSourcesWithDeviceCode = {
    expr = map (source: builtins.length ((toolkitOf { toolkit = nvcc; }).build source).fragments) [
      { }
      { device_code = true; }
    ];
    expected = [ 0 1 ];
  };
  toolkitHandsSourcesTheProjectsVariablesThatCount = {
    expr = ((toolkitOf { toolkit = nvcc; }).build { device_code = true; }).environment;
    expected = [ [ "FORCE_CUDA" "1" ] [ "FORCE_CUDA" "0" ] [ "MAX_JOBS" "1" ] ];
  };
}
