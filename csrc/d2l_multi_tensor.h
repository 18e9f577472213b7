// The C ABI over libtorch's kernels for lists of tensors, which tch leaves out: one launch for all parameters of a network. All
// of them work in place, but for one.
#pragma once
#include "d2l_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const d2l_tensor* tensors;
  int64_t size;
} d2l_tensors;

// The options of torch._fused_sgd_, and of torch._fused_adam_ and torch._fused_adamw_ without amsgrad.
typedef struct {
  double lr;
  double momentum;
  double dampening;
  double weight_decay;
  bool nesterov;
  bool is_first_step;
} d2l_fused_sgd_options;

typedef struct {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
} d2l_fused_adam_options;

d2l_error d2l_fused_sgd_(d2l_tensors params, d2l_tensors grads, d2l_tensors momentum_buffers,
                         const d2l_fused_sgd_options* options);
d2l_error d2l_fused_adam_(d2l_tensors params, d2l_tensors grads, d2l_tensors exp_avgs, d2l_tensors exp_avg_sqs,
                          d2l_tensors steps, const d2l_fused_adam_options* options);
d2l_error d2l_fused_adamw_(d2l_tensors params, d2l_tensors grads, d2l_tensors exp_avgs, d2l_tensors exp_avg_sqs,
                           d2l_tensors steps, const d2l_fused_adam_options* options);

// torch._foreach_add_(self, scalar) and (self, others, alpha=), _foreach_mul_(self, scalar), _foreach_div_(self, scalars),
// _foreach_lerp_(self, ends, weight), _foreach_addcmul_(self, a, b, value), _foreach_addcdiv_(self, a, b, scalars).
d2l_error d2l_foreach_add_scalar_(d2l_tensors self, double scalar);
d2l_error d2l_foreach_add_(d2l_tensors self, d2l_tensors others, double alpha);
d2l_error d2l_foreach_mul_(d2l_tensors self, double scalar);
d2l_error d2l_foreach_div_(d2l_tensors self, const double* scalars);
d2l_error d2l_foreach_lerp_(d2l_tensors self, d2l_tensors ends, double weight);
d2l_error d2l_foreach_addcmul_(d2l_tensors self, d2l_tensors a, d2l_tensors b, double value);
d2l_error d2l_foreach_addcdiv_(d2l_tensors self, d2l_tensors a, d2l_tensors b, const double* scalars);

// torch._foreach_sqrt(self): as many new tensors, which the caller owns.
d2l_error d2l_foreach_sqrt(d2l_tensors self, d2l_tensor* results);

#ifdef __cplusplus
}
#endif
