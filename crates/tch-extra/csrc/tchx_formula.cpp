#include "tchx_formula.h"

#include "tchx_formula_loops.h"
#include "tchx_guarded.h"
#include "tchx_own.h"

#include <ATen/TensorOperators.h>

using at::Tensor;
using tchx::guarded;

#if defined(__x86_64__)

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <vector>

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using tchx::dispatched;
using tchx::is_plain;
using tchx::formula::Gradients;
using tchx::formula::Inputs;
using tchx::formula::kLanes;
using tchx::formula::kLongestSum;

namespace {

// x, of which each part of the formula has its own: autograd adds up the gradients of x one after the other, and those of what else
// takes x come before or after them.
using Parts = std::array<Tensor, 3>;

// The formula, operation by operation. The parts are those of x in x_hat, in var and in mean.
Tensor by_operations(const Parts& x, const Tensor& gamma, const Tensor& beta, double eps) {
  const auto mean_of_batch = [](const Tensor& t) { return t.dim() == 2 ? t.mean(0) : t.mean({0, 2, 3}, /*keepdim=*/true); };
  const Tensor mean = mean_of_batch(x[2]);
  const Tensor var = mean_of_batch((x[1] - mean).pow(2));
  const Tensor x_hat = (x[0] - mean) / (var + eps).sqrt();
  return gamma * x_hat + beta;
}

// Whether libtorch adds up each channel of x in the order of the loops. It shares out large sums over rows among its threads, and takes
// a sum of one term for the term.
bool adds_up_alike(const Tensor& x) {
  if (!is_plain(x) || x.size(1) < 2) return false;
  if (x.dim() == 4) {
    const int64_t pixels = x.size(2) * x.size(3);
    return pixels >= kLanes && pixels <= kLongestSum;
  }
  const bool by_one_thread = x.numel() < at::internal::GRAIN_SIZE || at::get_num_threads() == 1;
  return x.size(0) > 1 && x.size(0) <= kLongestSum && x.size(1) >= kLanes && by_one_thread;
}

bool computes(const Tensor& x, std::initializer_list<const Tensor*> of_channels) {
  const auto fits = [&](const Tensor* t) {
    return is_plain(*t) && t->dim() == x.dim() && t->size(1) == x.size(1) && t->numel() == x.size(1);
  };
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  return tchx::enabled && has_avx2 && (x.dim() == 2 || x.dim() == 4) && adds_up_alike(x) &&
         std::all_of(of_channels.begin(), of_channels.end(), fits);
}

Inputs inputs(const Tensor& x, const Tensor& gamma, const Tensor& mean, const Tensor& deviation) {
  return {x.const_data_ptr<float>(), gamma.const_data_ptr<float>(), mean.const_data_ptr<float>(),
          deviation.const_data_ptr<float>()};
}

// Calls work(batch) for batches that are all of x: in several threads for images.
template <class Work>
void each_batch(const Tensor& x, Work work) {
  using tchx::formula::Batch;
  const int64_t samples = x.size(0), channels = x.size(1), pixels = x.numel() / (samples * channels);
  if (x.dim() == 2) return work(Batch{samples, channels, 1, 0, channels});
  tchx::in_threads(channels, samples * pixels,
                   [=](int64_t begin, int64_t end) { work(Batch{samples, channels, pixels, begin, end}); });
}

// y, and the batch's mean and sqrt(var + eps) in the shape of gamma.
std::tuple<Tensor, Tensor, Tensor> normalize(const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor moving_mean,
                                             Tensor moving_var, double momentum, double eps) {
  ++tchx::calls;
  Tensor y = at::empty_like(x), mean = at::empty_like(gamma), var = at::empty_like(gamma);
  const float* from = x.const_data_ptr<float>();
  float *means = mean.mutable_data_ptr<float>(), *vars = var.mutable_data_ptr<float>();
  each_batch(x, [=](const auto& batch) { tchx::formula::set_statistics(batch, from, means, vars); });
  tchx::formula::move(moving_mean.mutable_data_ptr<float>(), means, x.size(1), momentum);
  tchx::formula::move(moving_var.mutable_data_ptr<float>(), vars, x.size(1), momentum);
  // libtorch's, which may be MKL's: not always the nearest float.
  const Tensor deviation = (var + eps).sqrt_();
  const Inputs in = inputs(x, gamma, mean, deviation);
  const float* shift = beta.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  each_batch(x, [=](const auto& batch) { tchx::formula::normalize(batch, in, shift, to); });
  return {y, mean, deviation};
}

using FiveTensors = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

// The gradients of x's three parts, gamma and beta.
FiveTensors differentiate(const Tensor& grad, const Tensor& x, const Tensor& gamma, const Tensor& mean,
                          const Tensor& deviation) {
  ++tchx::calls;
  Tensor by_x_hat = at::empty_like(x), by_var = at::empty_like(x), by_mean = at::empty_like(gamma);
  Tensor of_gamma = at::empty_like(gamma), of_beta = at::empty_like(gamma);
  const int64_t channels = x.size(1);
  std::vector<float> of_channels(2 * channels);
  const Gradients gradients{grad.const_data_ptr<float>(),
                            by_x_hat.mutable_data_ptr<float>(),
                            by_var.mutable_data_ptr<float>(),
                            of_gamma.mutable_data_ptr<float>(),
                            of_beta.mutable_data_ptr<float>(),
                            by_mean.mutable_data_ptr<float>(),
                            &of_channels[0],
                            &of_channels[channels]};
  const Inputs in = inputs(x, gamma, mean, deviation);
  each_batch(x, [=](const auto& batch) { tchx::formula::differentiate(batch, in, gradients); });
  return {by_x_hat, by_var, by_mean, of_gamma, of_beta};
}

std::tuple<Tensor, Tensor, Tensor> call_formula(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                                const Tensor& moving_mean, const Tensor& moving_var, double momentum,
                                                double eps) {
  static const auto op = dispatched<decltype(normalize)>("tchx::batch_norm_formula");
  return op.call(x, gamma, beta, moving_mean, moving_var, momentum, eps);
}

struct Formula : torch::autograd::Function<Formula> {
  // How many of the arguments may need a gradient: x's parts, gamma, beta.
  static constexpr int kInputs = 5;

  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor&, const Tensor&, const Tensor& gamma,
                               const Tensor& beta, const Tensor& moving_mean, const Tensor& moving_var, double momentum,
                               double eps) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const auto [y, mean, deviation] = call_formula(x, gamma, beta, moving_mean, moving_var, momentum, eps);
    context->save_for_backward({x, gamma, mean, deviation});
    context->saved_data["eps"] = eps;
    context->mark_non_differentiable({mean, deviation});
    return {y, mean, deviation};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &gamma = saved[1];
    if (at::GradMode::is_enabled() || !is_plain(grads[0]) || !adds_up_alike(x)) {
      return by_autograd(context, grads[0], x, gamma);
    }
    static const auto op = dispatched<decltype(differentiate)>("tchx::batch_norm_formula_backward");
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const auto [by_x_hat, by_var, by_mean, of_gamma, of_beta] = op.call(grads[0], x, gamma, saved[2], saved[3]);
    return {by_x_hat, by_var, by_mean.expand(x.sizes()), of_gamma, of_beta, Tensor(), Tensor(), Tensor(), Tensor()};
  }

 private:
  // From the formula's operations: where the gradients shall have gradients, or the gradient has a layout of its own.
  static variable_list by_autograd(AutogradContext* context, const Tensor& grad, const Tensor& x, const Tensor& gamma) {
    const double eps = context->saved_data["eps"].toDouble();
    const bool create_graph = at::GradMode::is_enabled();
    const at::AutoGradMode with_gradients(true);
    const Parts parts = {x.view_as(x), x.view_as(x), x.view_as(x)};
    // No gradient depends on beta's values.
    const std::array<Tensor, kInputs> inputs = {parts[0], parts[1], parts[2], gamma, at::zeros_like(gamma).requires_grad_()};
    const Tensor y = by_operations(parts, gamma, inputs[4], eps);
    variable_list wanted, results(kInputs + 4);
    for (int i = 0; i < kInputs; ++i) {
      if (context->needs_input_grad(i)) wanted.push_back(inputs[i]);
    }
    auto grads = torch::autograd::grad({y}, wanted, {grad}, /*retain_graph=*/create_graph, create_graph);
    for (int i = kInputs - 1; i >= 0; --i) {
      if (!context->needs_input_grad(i)) continue;
      results[i] = grads.back();
      grads.pop_back();
    }
    return results;
  }
};

}  // namespace

TORCH_LIBRARY_FRAGMENT(tchx, m) {
  m.def(
      "batch_norm_formula(Tensor x, Tensor gamma, Tensor beta, Tensor(a!) moving_mean, Tensor(b!) moving_var, float momentum, "
      "float eps) -> (Tensor, Tensor, Tensor)");
  m.def(
      "batch_norm_formula_backward(Tensor grad, Tensor x, Tensor gamma, Tensor mean, Tensor deviation) -> "
      "(Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(tchx, CPU, m) {
  m.impl("batch_norm_formula", &normalize);
  m.impl("batch_norm_formula_backward", &differentiate);
}

TORCH_LIBRARY_IMPL(tchx, Autograd, m) {
  m.impl("batch_norm_formula", [](const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor moving_mean,
                                  Tensor moving_var, double momentum, double eps) {
    const variable_list results = Formula::apply(x, x, x, gamma, beta, moving_mean, moving_var, momentum, eps);
    return std::make_tuple(results[0], results[1], results[2]);
  });
}

#else

namespace {

bool computes(const Tensor&, std::initializer_list<const Tensor*>) { return false; }
std::tuple<Tensor, Tensor, Tensor> call_formula(const Tensor& x, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                                double, double) {
  return {x, x, x};
}

}  // namespace

#endif

tchx_error tchx_batch_norm_formula(tchx_tensor x, tchx_tensor gamma, tchx_tensor beta, tchx_tensor moving_mean,
                                   tchx_tensor moving_var, double momentum, double eps, tchx_tensor* result) {
  return guarded([&] {
    const Tensor &batch = tchx::tensor(x), &g = tchx::tensor(gamma), &b = tchx::tensor(beta);
    const Tensor &its_mean = tchx::tensor(moving_mean), &its_var = tchx::tensor(moving_var);
    const bool own = computes(batch, {&g, &b, &its_mean, &its_var});
    *result = own ? new Tensor(std::get<0>(call_formula(batch, g, b, its_mean, its_var, momentum, eps))) : nullptr;
  });
}
