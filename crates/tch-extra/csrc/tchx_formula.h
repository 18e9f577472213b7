// The C ABI over batch norm as the formula of "Dive into Deep Learning", in a few passes over memory.
// tchx_set_kernels_enabled switches it.
#pragma once
#include "tchx_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

// d2l's batch_norm(x, gamma, beta, moving_mean, moving_var, eps, momentum) in training. It moves the statistics in place. NULL and no
// change for what it was not proven for: other devices, kinds, layouts, sizes and processors.
tchx_error tchx_batch_norm_formula(tchx_tensor x, tchx_tensor gamma, tchx_tensor beta, tchx_tensor moving_mean,
                                   tchx_tensor moving_var, double momentum, double eps, tchx_tensor* result);

#ifdef __cplusplus
}
#endif
