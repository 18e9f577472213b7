#include "d2l_multi_tensor.h"

#include "guarded.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>

#include <vector>

using d2l::guarded;

namespace {

// Handles of the same tensors.
std::vector<at::Tensor> list(d2l_tensors tensors) {
  std::vector<at::Tensor> handles;
  handles.reserve(tensors.size);
  for (int64_t i = 0; i < tensors.size; ++i) handles.push_back(d2l::tensor(tensors.tensors[i]));
  return handles;
}

// A number for each tensor.
std::vector<at::Scalar> scalars(const double* numbers, d2l_tensors tensors) { return {numbers, numbers + tensors.size}; }

}  // namespace

d2l_error d2l_fused_sgd_(d2l_tensors params, d2l_tensors grads, d2l_tensors momentum_buffers,
                         const d2l_fused_sgd_options* options) {
  return guarded([&] {
    at::_fused_sgd_(list(params), list(grads), list(momentum_buffers), options->weight_decay, options->momentum, options->lr,
                    options->dampening, options->nesterov, /*maximize=*/false, options->is_first_step);
  });
}

d2l_error d2l_fused_adam_(d2l_tensors params, d2l_tensors grads, d2l_tensors exp_avgs, d2l_tensors exp_avg_sqs,
                          d2l_tensors steps, const d2l_fused_adam_options* options) {
  return guarded([&] {
    at::_fused_adam_(list(params), list(grads), list(exp_avgs), list(exp_avg_sqs), /*max_exp_avg_sqs=*/{}, list(steps),
                     options->lr, options->beta1, options->beta2, options->weight_decay, options->eps, /*amsgrad=*/false,
                     /*maximize=*/false);
  });
}

d2l_error d2l_fused_adamw_(d2l_tensors params, d2l_tensors grads, d2l_tensors exp_avgs, d2l_tensors exp_avg_sqs,
                           d2l_tensors steps, const d2l_fused_adam_options* options) {
  return guarded([&] {
    at::_fused_adamw_(list(params), list(grads), list(exp_avgs), list(exp_avg_sqs), /*max_exp_avg_sqs=*/{}, list(steps),
                      options->lr, options->beta1, options->beta2, options->weight_decay, options->eps, /*amsgrad=*/false,
                      /*maximize=*/false);
  });
}

d2l_error d2l_foreach_add_scalar_(d2l_tensors self, double scalar) {
  return guarded([&] { at::_foreach_add_(list(self), scalar); });
}

d2l_error d2l_foreach_add_(d2l_tensors self, d2l_tensors others, double alpha) {
  return guarded([&] { at::_foreach_add_(list(self), list(others), alpha); });
}

d2l_error d2l_foreach_mul_(d2l_tensors self, double scalar) {
  return guarded([&] { at::_foreach_mul_(list(self), scalar); });
}

d2l_error d2l_foreach_div_(d2l_tensors self, const double* numbers) {
  return guarded([&] { at::_foreach_div_(list(self), scalars(numbers, self)); });
}

d2l_error d2l_foreach_lerp_(d2l_tensors self, d2l_tensors ends, double weight) {
  return guarded([&] { at::_foreach_lerp_(list(self), list(ends), weight); });
}

d2l_error d2l_foreach_addcmul_(d2l_tensors self, d2l_tensors a, d2l_tensors b, double value) {
  return guarded([&] { at::_foreach_addcmul_(list(self), list(a), list(b), value); });
}

d2l_error d2l_foreach_addcdiv_(d2l_tensors self, d2l_tensors a, d2l_tensors b, const double* numbers) {
  return guarded([&] { at::_foreach_addcdiv_(list(self), list(a), list(b), scalars(numbers, self)); });
}

d2l_error d2l_foreach_sqrt(d2l_tensors self, d2l_tensor* results) {
  return guarded([&] {
    for (at::Tensor& root : at::_foreach_sqrt(list(self))) *results++ = new at::Tensor(std::move(root));
  });
}
