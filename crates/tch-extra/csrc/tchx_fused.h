// The C ABI over fused.cu: batch norm and the activation after it, in one CUDA kernel for each direction. It compiles without a CUDA
// toolkit: NVRTC and the driver are called by name.
#pragma once
#include "tchx_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

// Compiles `source`, which is fused.cu, for a device, once in a process. Do it before a graph is captured.
tchx_error tchx_fused_prepare(int64_t cuda_index, const char* source);

// Compiles `source` for an architecture such as sm_90. It needs no device. Gives the bytes of the compiled code.
tchx_error tchx_fused_compile(const char* source, const char* architecture, uint64_t* bytes);

// d2l's batch_norm in training, then an activation: 0 none, 1 ReLU, 2 sigmoid. The device must be prepared. It moves the statistics in
// place.
tchx_error tchx_batch_norm_act(tchx_tensor x, tchx_tensor gamma, tchx_tensor beta, tchx_tensor moving_mean,
                               tchx_tensor moving_var, double momentum, double eps, int32_t activation, tchx_tensor* result);

#ifdef __cplusplus
}
#endif
