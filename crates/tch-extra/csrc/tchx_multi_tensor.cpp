#include "tchx_multi_tensor.h"

#include "tchx_guarded.h"

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

#include <initializer_list>
#include <vector>

using tchx::guarded;

namespace {

// Handles of the same tensors.
std::vector<at::Tensor> list(tchx_tensors tensors) {
  std::vector<at::Tensor> handles;
  handles.reserve(tensors.size);
  for (int64_t i = 0; i < tensors.size; ++i) handles.push_back(tchx::tensor(tensors.tensors[i]));
  return handles;
}

// A number for each tensor.
std::vector<at::Scalar> scalars(const double* numbers, tchx_tensors tensors) { return {numbers, numbers + tensors.size}; }

// The fused kernels go through the memory of tensors that belong together as if all were laid out like the parameter.
void check_alike(tchx_tensors params, std::initializer_list<tchx_tensors> lists) {
  for (const tchx_tensors& others : lists) {
    TORCH_CHECK(others.size == params.size, "lists of different lengths");
    for (int64_t i = 0; i < params.size; ++i) {
      const auto &param = tchx::tensor(params.tensors[i]), &other = tchx::tensor(others.tensors[i]);
      TORCH_CHECK(param.is_non_overlapping_and_dense() && other.sizes() == param.sizes() && other.strides() == param.strides() &&
                      other.scalar_type() == param.scalar_type() && other.device() == param.device(),
                  "a tensor of another shape, layout, kind or device than its parameter's");
    }
  }
}

}  // namespace

tchx_error tchx_fused_sgd_(tchx_tensors params, tchx_tensors grads, tchx_tensors momentum_buffers,
                         const tchx_fused_sgd_options* options) {
  return guarded([&] {
    check_alike(params, {grads});
    if (momentum_buffers.size > 0) check_alike(params, {momentum_buffers});
    at::_fused_sgd_(list(params), list(grads), list(momentum_buffers), options->weight_decay, options->momentum, options->lr,
                    options->dampening, options->nesterov, /*maximize=*/false, options->is_first_step);
  });
}

tchx_error tchx_fused_adam_(tchx_tensors params, tchx_tensors grads, tchx_tensors exp_avgs, tchx_tensors exp_avg_sqs,
                          tchx_tensors steps, const tchx_fused_adam_options* options) {
  return guarded([&] {
    check_alike(params, {grads, exp_avgs, exp_avg_sqs});
    TORCH_CHECK(steps.size == params.size, "lists of different lengths");
    at::_fused_adam_(list(params), list(grads), list(exp_avgs), list(exp_avg_sqs), /*max_exp_avg_sqs=*/{}, list(steps),
                     options->lr, options->beta1, options->beta2, options->weight_decay, options->eps, /*amsgrad=*/false,
                     /*maximize=*/false);
  });
}

tchx_error tchx_fused_adamw_(tchx_tensors params, tchx_tensors grads, tchx_tensors exp_avgs, tchx_tensors exp_avg_sqs,
                           tchx_tensors steps, const tchx_fused_adam_options* options) {
  return guarded([&] {
    check_alike(params, {grads, exp_avgs, exp_avg_sqs});
    TORCH_CHECK(steps.size == params.size, "lists of different lengths");
    at::_fused_adamw_(list(params), list(grads), list(exp_avgs), list(exp_avg_sqs), /*max_exp_avg_sqs=*/{}, list(steps),
                      options->lr, options->beta1, options->beta2, options->weight_decay, options->eps, /*amsgrad=*/false,
                      /*maximize=*/false);
  });
}

tchx_error tchx_foreach_add_scalar_(tchx_tensors self, double scalar) {
  return guarded([&] { at::_foreach_add_(list(self), scalar); });
}

tchx_error tchx_foreach_add_(tchx_tensors self, tchx_tensors others, double alpha) {
  return guarded([&] { at::_foreach_add_(list(self), list(others), alpha); });
}

tchx_error tchx_foreach_mul_(tchx_tensors self, double scalar) {
  return guarded([&] { at::_foreach_mul_(list(self), scalar); });
}

tchx_error tchx_foreach_div_(tchx_tensors self, const double* numbers) {
  return guarded([&] { at::_foreach_div_(list(self), scalars(numbers, self)); });
}

tchx_error tchx_foreach_lerp_(tchx_tensors self, tchx_tensors ends, double weight) {
  return guarded([&] { at::_foreach_lerp_(list(self), list(ends), weight); });
}

tchx_error tchx_foreach_addcmul_(tchx_tensors self, tchx_tensors a, tchx_tensors b, double value) {
  return guarded([&] { at::_foreach_addcmul_(list(self), list(a), list(b), value); });
}

tchx_error tchx_foreach_addcdiv_(tchx_tensors self, tchx_tensors a, tchx_tensors b, const double* numbers) {
  return guarded([&] { at::_foreach_addcdiv_(list(self), list(a), list(b), scalars(numbers, self)); });
}

tchx_error tchx_foreach_sqrt(tchx_tensors self, tchx_tensor* results) {
  return guarded([&] {
    for (at::Tensor& root : at::_foreach_sqrt(list(self))) *results++ = new at::Tensor(std::move(root));
  });
}
