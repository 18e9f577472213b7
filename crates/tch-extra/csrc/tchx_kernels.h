// The C ABI over kernels that give the bits of libtorch's and take less time. Each hands what it was not proven for to libtorch: other
// devices, kinds, layouts, sizes and processors.
#pragma once
#include "tchx_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether the process computes with them (the default) or with libtorch's own. A backward pass computes as its forward pass did.
void tchx_set_kernels_enabled(bool enabled) TCHX_NOEXCEPT;

// How many times they have computed.
uint64_t tchx_kernel_calls() TCHX_NOEXCEPT;

// torch.nn.functional.conv2d(x, weight, bias, padding=padding).
tchx_error tchx_conv2d(tchx_tensor x, tchx_tensor weight, tchx_tensor bias, int64_t padding, tchx_tensor* result);

// torch.nn.functional.avg_pool2d(x, size), max_pool2d(x, size, stride, padding), the same of relu(x), dropout(x, p, train).
tchx_error tchx_avg_pool2d(tchx_tensor x, int64_t size, tchx_tensor* result);
tchx_error tchx_max_pool2d(tchx_tensor x, int64_t size, int64_t stride, int64_t padding, tchx_tensor* result);
tchx_error tchx_relu_max_pool2d(tchx_tensor x, int64_t size, int64_t stride, int64_t padding, tchx_tensor* result);
tchx_error tchx_dropout(tchx_tensor x, double p, bool train, tchx_tensor* result);

// torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, training=True, momentum, eps).
tchx_error tchx_batch_norm_training(tchx_tensor x, tchx_tensor weight, tchx_tensor bias, tchx_tensor running_mean,
                                    tchx_tensor running_var, double momentum, double eps, tchx_tensor* result);

#ifdef __cplusplus
}
#endif
