// The C ABI over libtorch's kernels for lists of tensors, which tch leaves out: one launch for all parameters of a network. All
// of them work in place, but for one.
#pragma once
#include "tchx_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const tchx_tensor* tensors;
  int64_t size;
} tchx_tensors;

// The options of torch._fused_sgd_, and of torch._fused_adam_ and torch._fused_adamw_ without amsgrad.
typedef struct {
  double lr;
  double momentum;
  double dampening;
  double weight_decay;
  bool nesterov;
  bool is_first_step;
} tchx_fused_sgd_options;

typedef struct {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
} tchx_fused_adam_options;

tchx_error tchx_fused_sgd_(tchx_tensors params, tchx_tensors grads, tchx_tensors momentum_buffers,
                         const tchx_fused_sgd_options* options);
tchx_error tchx_fused_adam_(tchx_tensors params, tchx_tensors grads, tchx_tensors exp_avgs, tchx_tensors exp_avg_sqs,
                          tchx_tensors steps, const tchx_fused_adam_options* options);
tchx_error tchx_fused_adamw_(tchx_tensors params, tchx_tensors grads, tchx_tensors exp_avgs, tchx_tensors exp_avg_sqs,
                           tchx_tensors steps, const tchx_fused_adam_options* options);

// torch._foreach_add_(self, scalar) and (self, others, alpha=), _foreach_mul_(self, scalar), _foreach_div_(self, scalars),
// _foreach_lerp_(self, ends, weight), _foreach_addcmul_(self, a, b, value), _foreach_addcdiv_(self, a, b, scalars).
tchx_error tchx_foreach_add_scalar_(tchx_tensors self, double scalar);
tchx_error tchx_foreach_add_(tchx_tensors self, tchx_tensors others, double alpha);
tchx_error tchx_foreach_mul_(tchx_tensors self, double scalar);
tchx_error tchx_foreach_div_(tchx_tensors self, const double* scalars);
tchx_error tchx_foreach_lerp_(tchx_tensors self, tchx_tensors ends, double weight);
tchx_error tchx_foreach_addcmul_(tchx_tensors self, tchx_tensors a, tchx_tensors b, double value);
tchx_error tchx_foreach_addcdiv_(tchx_tensors self, tchx_tensors a, tchx_tensors b, const double* scalars);

// torch._foreach_sqrt(self): as many new tensors, which the caller owns.
tchx_error tchx_foreach_sqrt(tchx_tensors self, tchx_tensor* results);

#ifdef __cplusplus
}
#endif
