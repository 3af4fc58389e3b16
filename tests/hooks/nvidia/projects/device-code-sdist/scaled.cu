#include <cuda_runtime.h>

__global__ void scale(float *values, float factor) { values[threadIdx.x] *= factor; }

extern "C" int devices() {
  int count;
  return cudaGetDeviceCount(&count);
}

extern "C" int start(float *values, float factor) {
  scale<<<1, 32>>>(values, factor);
  return cudaGetLastError();
}
