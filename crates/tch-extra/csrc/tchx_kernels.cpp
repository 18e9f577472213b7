#include "tchx_kernels.h"

#include "tchx_guarded.h"
#include "tchx_loops.h"
#include "tchx_own.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

using at::Tensor;
using tchx::calls;
using tchx::enabled;
using tchx::guarded;
using tchx::is_plain;

#if defined(__SSE2__)

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Version.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/avg_pool2d_backward.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/max_pool2d_with_indices.h>
#include <ATen/ops/max_pool2d_with_indices_backward.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using tchx::dispatched;
using tchx::in_threads;

namespace {

// ---- Pooling over windows of 2 x 2

constexpr int64_t kWindow = 2;

// What the loops take: images with four windows in a row at least.
bool pools(const Tensor& x) {
  return enabled && is_plain(x) && (x.dim() == 3 || x.dim() == 4) && x.size(-2) >= kWindow &&
         x.size(-1) >= kWindow * tchx::kLanes;
}

// The planes of images, and of what they are pooled to.
struct Planes {
  int64_t count, height, width;

  explicit Planes(const Tensor& x) : height(x.size(-2)), width(x.size(-1)) { count = x.numel() / (height * width); }

  int64_t pooled_height() const { return height / kWindow; }
  int64_t pooled_width() const { return width / kWindow; }

  // Calls work(upper, lower, pooled), with the offsets of rows, for each pair of rows of the images.
  template <class Work>
  void each_pair_of_rows(Work work) const {
    in_threads(count, height * width, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        for (int64_t y = 0; y < pooled_height(); ++y) {
          const int64_t upper = (plane * height + kWindow * y) * width;
          work(upper, upper + width, (plane * pooled_height() + y) * pooled_width());
        }
      }
    });
  }
};

Tensor new_pooled(const Tensor& x, at::ScalarType kind) {
  auto sizes = x.sizes().vec();
  for (size_t i = sizes.size() - 2; i < sizes.size(); ++i) sizes[i] /= kWindow;
  return at::empty(sizes, x.options().dtype(kind));
}

// A row or column in no window gets zeros.
Tensor new_gradient(const Tensor& x) {
  const bool all_in_windows = x.size(-2) % kWindow == 0 && x.size(-1) % kWindow == 0;
  return all_in_windows ? at::empty(x.sizes(), x.options()) : at::zeros(x.sizes(), x.options());
}

Tensor avg_pool_2x2(const Tensor& x) {
  ++calls;
  Tensor means = new_pooled(x, at::kFloat);
  const float* from = x.const_data_ptr<float>();
  float* to = means.mutable_data_ptr<float>();
  const Planes planes(x);
  planes.each_pair_of_rows([=](int64_t upper, int64_t lower, int64_t pooled) {
    tchx::avg_pool_2x2(from + upper, from + lower, to + pooled, planes.pooled_width());
  });
  return means;
}

Tensor avg_pool_2x2_backward(const Tensor& grad, const Tensor& x) {
  ++calls;
  Tensor result = new_gradient(x);
  const Tensor grads = grad.contiguous();
  const float* from = grads.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  const Planes planes(x);
  planes.each_pair_of_rows([=](int64_t upper, int64_t lower, int64_t pooled) {
    tchx::avg_pool_2x2_backward(from + pooled, to + upper, to + lower, planes.pooled_width());
  });
  return result;
}

// If `relu`, that of ReLU's results.
std::tuple<Tensor, Tensor> max_pool_2x2(const Tensor& x, bool relu) {
  ++calls;
  Tensor largest = new_pooled(x, at::kFloat), positions = new_pooled(x, at::kByte);
  const float* from = x.const_data_ptr<float>();
  float* to = largest.mutable_data_ptr<float>();
  uint8_t* places = positions.mutable_data_ptr<uint8_t>();
  const Planes planes(x);
  const auto pool = relu ? tchx::max_pool_2x2<true> : tchx::max_pool_2x2<false>;
  planes.each_pair_of_rows([=](int64_t upper, int64_t lower, int64_t pooled) {
    pool(from + upper, from + lower, to + pooled, places + pooled, planes.pooled_width());
  });
  return {largest, positions};
}

Tensor max_pool_2x2_backward(const Tensor& grad, const Tensor& x, const Tensor& positions) {
  ++calls;
  Tensor result = new_gradient(x);
  const Tensor grads = grad.contiguous();
  const float* from = grads.const_data_ptr<float>();
  const uint8_t* places = positions.const_data_ptr<uint8_t>();
  float* to = result.mutable_data_ptr<float>();
  const Planes planes(x);
  planes.each_pair_of_rows([=](int64_t upper, int64_t lower, int64_t pooled) {
    tchx::max_pool_2x2_backward(from + pooled, places + pooled, to + upper, to + lower, planes.pooled_width());
  });
  return result;
}

Tensor call_avg_pool(const Tensor& x) {
  static const auto op = dispatched<Tensor(const Tensor&)>("tchx::avg_pool_2x2");
  return op.call(x);
}

std::tuple<Tensor, Tensor> call_max_pool(const Tensor& x, bool relu) {
  static const auto op = dispatched<std::tuple<Tensor, Tensor>(const Tensor&, bool)>("tchx::max_pool_2x2");
  return op.call(x, relu);
}

// Where a gradient shall have a gradient, libtorch computes it, from the same input.
struct AvgPool : torch::autograd::Function<AvgPool> {
  static Tensor forward(AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return call_avg_pool(x);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const Tensor x = context->get_saved_variables()[0];
    if (at::GradMode::is_enabled()) {
      return {at::avg_pool2d_backward(grads[0], x, kWindow, kWindow, /*padding=*/0, /*ceil_mode=*/false,
                                      /*count_include_pad=*/true, /*divisor_override=*/std::nullopt)};
    }
    static const auto op = dispatched<Tensor(const Tensor&, const Tensor&)>("tchx::avg_pool_2x2_backward");
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return {op.call(grads[0], x)};
  }
};

struct MaxPool : torch::autograd::Function<MaxPool> {
  static variable_list forward(AutogradContext* context, const Tensor& x, bool relu) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const auto [largest, positions] = call_max_pool(x, relu);
    context->save_for_backward({x, positions});
    context->saved_data["relu"] = relu;
    context->mark_non_differentiable({positions});
    return {largest, positions};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    if (at::GradMode::is_enabled()) {
      const bool relu = context->saved_data["relu"].toBool();
      const Tensor pooled = relu ? at::relu(saved[0]) : saved[0];
      const Tensor indices = std::get<1>(at::max_pool2d_with_indices(pooled.detach(), kWindow));
      const Tensor grad = at::max_pool2d_with_indices_backward(grads[0], pooled, kWindow, kWindow, /*padding=*/0,
                                                               /*dilation=*/1, /*ceil_mode=*/false, indices);
      return {relu ? at::threshold_backward(grad, pooled, 0) : grad, Tensor()};
    }
    using Signature = Tensor(const Tensor&, const Tensor&, const Tensor&);
    static const auto op = dispatched<Signature>("tchx::max_pool_2x2_backward");
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return {op.call(grads[0], saved[0], saved[1]), Tensor()};
  }
};

// ---- Convolution of images with one channel

// The comparison with libtorch's kernel takes the memory of the outputs once more.
constexpr int64_t kMostOutputs = 1 << 23;

// What the loops take. Products of numbers of these sizes, and so their sums, are multiples of the least float.
bool convolves(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
  const int64_t room = tchx::kTaps - 1 - 2 * padding;
  const auto allows_padding = [](const Tensor& t, float least) {
    return tchx::allow_padding(t.const_data_ptr<float>(), t.numel(), least);
  };
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && is_plain(x) && is_plain(weight) &&
         is_plain(bias) && x.dim() == 4 && x.size(1) == 1 && padding >= 0 && x.size(2) > room &&
         x.size(3) >= room + 2 * tchx::kColumns && bias.dim() == 1 &&
         weight.sizes() == at::IntArrayRef({bias.numel(), 1, tchx::kTaps, tchx::kTaps}) &&
         bias.numel() * x.numel() <= kMostOutputs &&
         (padding == 0 || (allows_padding(x, 0x1p-40f) && allows_padding(weight, 0x1p-60f)));
}

Tensor own_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
  ++calls;
  const int64_t images = x.size(0), channels = bias.numel(), x_height = x.size(2), x_width = x.size(3);
  const int64_t padded_height = x_height + 2 * padding, padded_width = x_width + 2 * padding;
  const int64_t height = padded_height - tchx::kTaps + 1, width = padded_width - tchx::kTaps + 1;
  Tensor y = at::empty({images, channels, height, width}, x.options());
  const float *from = x.const_data_ptr<float>(), *weights = weight.const_data_ptr<float>();
  const float* biases = bias.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  const int64_t outputs = channels * height * width;
  in_threads(images, outputs * tchx::kTaps, [=](int64_t begin, int64_t end) {
    std::vector<float> padded(padding > 0 ? padded_height * padded_width : 0);
    for (int64_t i = begin; i < end; ++i) {
      const float* image = from + i * x_height * x_width;
      if (padding > 0) {
        for (int64_t row = 0; row < x_height; ++row) {
          std::copy_n(image + row * x_width, x_width, padded.data() + (row + padding) * padded_width + padding);
        }
        image = padded.data();
      }
      tchx::convolve(image, weights, biases, to + i * outputs, channels, height, width);
    }
  });
  return y;
}

Tensor libtorchs_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
  return at::convolution(x, weight, bias, /*stride=*/{1, 1}, {padding, padding}, /*dilation=*/{1, 1}, /*transposed=*/false,
                         /*output_padding=*/{0, 0}, /*groups=*/1);
}

// Whether libtorch's result for tensors like these has the bits of our own. It chooses one of several kernels, by the sizes, the processor
// and the settings: so each case is compared once.
bool libtorch_convolves_alike(const Tensor& x, const Tensor& weight, int64_t padding) {
  static std::mutex mutex;
  static std::map<std::vector<int64_t>, bool> compared;
  const std::lock_guard<std::mutex> lock(mutex);
  std::vector<int64_t> key = x.sizes().vec();
  const auto& context = at::globalContext();
  key.insert(key.end(), {weight.size(0), padding, at::get_num_threads(), context.userEnabledMkldnn()});
  const auto known = compared.find(key);
  if (known != compared.end()) return known->second;
  at::Generator generator = at::detail::createCPUGenerator();
  const auto random = [&](at::IntArrayRef sizes) { return at::randn(sizes, generator, x.options()); };
  const Tensor images = random(x.sizes()), weights = random(weight.sizes()), biases = random({weight.size(0)});
  const Tensor expected = libtorchs_conv2d(images, weights, biases, padding);
  return compared[key] = own_conv2d(images, weights, biases, padding).equal(expected);
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
  const bool own = convolves(x, weight, bias, padding) && libtorch_convolves_alike(x, weight, padding);
  return own ? own_conv2d(x, weight, bias, padding) : libtorchs_conv2d(x, weight, bias, padding);
}

Tensor call_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
  static const auto op = dispatched<Tensor(const Tensor&, const Tensor&, const Tensor&, int64_t)>("tchx::conv2d");
  return op.call(x, weight, bias, padding);
}

struct Convolution : torch::autograd::Function<Convolution> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
    context->save_for_backward({x, weight});
    context->saved_data["padding"] = padding;
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return call_conv2d(x, weight, bias, padding);
  }

  // libtorch's own.
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const int64_t padding = context->saved_data["padding"].toInt(), channels = saved[1].size(0);
    const auto [x, weight, bias] = at::convolution_backward(
        grads[0], saved[0], saved[1], at::IntArrayRef{channels}, /*stride=*/{1, 1}, {padding, padding}, /*dilation=*/{1, 1},
        /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1,
        {context->needs_input_grad(0), context->needs_input_grad(1), context->needs_input_grad(2)});
    return {x, weight, bias, Tensor()};
  }
};

// ---- Batch norm

// Whether libtorch's kernels multiply and add in one rounding. Nothing if they are of another kind than those that were compared.
std::optional<bool> libtorch_fuses() {
  const std::string capability = at::get_cpu_capability();
  if (capability == "DEFAULT") return false;
  if (capability == "AVX2" || capability == "AVX512") return true;
  return std::nullopt;
}

bool normalizes(const Tensor& x, std::initializer_list<const Tensor*> of_channels) {
  const auto fits = [&](const Tensor* t) {
    return t->defined() && is_plain(*t) && t->dim() == 1 && t->size(0) == x.size(1);
  };
  return enabled && is_plain(x) && x.dim() == 4 && std::all_of(of_channels.begin(), of_channels.end(), fits) &&
         libtorch_fuses().has_value();
}

// 1 / sqrt(variance + eps) of a channel.
float inverse_deviation(float squares, int64_t count, double eps) {
  const double variance = squares / static_cast<float>(count);
  return variance == 0 && eps == 0 ? 0.0f : static_cast<float>(1 / std::sqrt(variance + eps));
}

// Moves running statistics of a channel by the share `momentum`: the variance in double, from the unbiased one of the batch.
void update(float& running_mean, float& running_var, float mean, float squares, int64_t count, float momentum) {
  running_mean = momentum * mean + (1 - momentum) * running_mean;
  const float unbiased = squares / static_cast<float>(count - 1);
  running_var = static_cast<float>(static_cast<double>(momentum) * unbiased + (1 - momentum) * running_var);
}

Tensor normalized(const Tensor& x, const float* scales, const float* shifts) {
  Tensor y = at::empty(x.sizes(), x.options());
  const float* from = x.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  const int64_t channels = x.size(1), pixels = x.size(2) * x.size(3);
  const auto plane = *libtorch_fuses() ? tchx::scale_and_shift_fused : tchx::scale_and_shift;
  in_threads(x.size(0) * channels, pixels, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      plane(from + i * pixels, to + i * pixels, pixels, scales[i % channels], shifts[i % channels]);
    }
  });
  return y;
}

// y, and the mean and 1 / sqrt(variance + eps) of each channel.
std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean,
                                              Tensor running_var, double momentum, double eps) {
  ++calls;
  const int64_t channels = x.size(1), count = x.numel() / channels;
  Tensor mean = at::empty({channels}, x.options()), inverse = at::empty({channels}, x.options());
  float* means = mean.mutable_data_ptr<float>();
  std::vector<float> squares(channels), scales(channels), shifts(channels);
  const tchx::Batch batch{x.const_data_ptr<float>(), x.size(0), channels, x.size(2) * x.size(3)};
  in_threads(channels, count,
             [&](int64_t begin, int64_t end) { tchx::statistics_of(batch, begin, end, means, squares.data()); });
  for (int64_t c = 0; c < channels; ++c) {
    update(running_mean.mutable_data_ptr<float>()[c], running_var.mutable_data_ptr<float>()[c], means[c], squares[c], count,
           static_cast<float>(momentum));
    const float of_c = inverse.mutable_data_ptr<float>()[c] = inverse_deviation(squares[c], count, eps);
    scales[c] = of_c * weight.const_data_ptr<float>()[c];
    const float b = bias.const_data_ptr<float>()[c];
    shifts[c] = *libtorch_fuses() ? std::fma(-means[c], scales[c], b) : b - means[c] * scales[c];
  }
  return {normalized(x, scales.data(), shifts.data()), mean, inverse};
}

// The gradients of x, weight and bias.
std::tuple<Tensor, Tensor, Tensor> batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& weight,
                                                       const Tensor& mean, const Tensor& inverse) {
  ++calls;
  const int64_t images = x.size(0), channels = x.size(1), pixels = x.size(2) * x.size(3);
  Tensor of_x = at::empty(x.sizes(), x.options()), of_weight = at::empty({channels}, x.options());
  Tensor of_bias = at::empty({channels}, x.options());
  const float *from = x.const_data_ptr<float>(), *grads = grad.const_data_ptr<float>();
  const float *means = mean.const_data_ptr<float>(), *inverses = inverse.const_data_ptr<float>();
  std::vector<tchx::PlaneSums> of_planes(images * channels);
  const bool in_pairs = *libtorch_fuses();
  in_threads(images * channels, pixels, [&](int64_t begin, int64_t end) {
    tchx::sums_of(from + begin * pixels, grads + begin * pixels, end - begin, pixels, means, begin % channels, channels,
                  in_pairs, of_planes.data() + begin);
  });
  std::vector<tchx::ChannelGradient> of_channels(channels);
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, products = 0;
    for (int64_t i = c; i < images * channels; i += channels) {
      sum += of_planes[i].grads;
      products += of_planes[i].products;
    }
    const float of_c = inverses[c];
    of_weight.mutable_data_ptr<float>()[c] = static_cast<float>(products * of_c);
    of_bias.mutable_data_ptr<float>()[c] = static_cast<float>(sum);
    const int64_t count = images * pixels;
    of_channels[c] = {means[c], of_c, weight.const_data_ptr<float>()[c], static_cast<float>(sum / static_cast<double>(count)),
                      static_cast<float>(products) * of_c * of_c / static_cast<float>(count)};
  }
  float* to = of_x.mutable_data_ptr<float>();
  const auto plane = *libtorch_fuses() ? tchx::input_gradient_fused : tchx::input_gradient;
  in_threads(images * channels, pixels, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      plane(from + i * pixels, grads + i * pixels, to + i * pixels, pixels, of_channels[i % channels]);
    }
  });
  return {of_x, of_weight, of_bias};
}

using BatchNormSignature = std::tuple<Tensor, Tensor, Tensor>(const Tensor&, const Tensor&, const Tensor&, Tensor, Tensor,
                                                              double, double);

std::tuple<Tensor, Tensor, Tensor> call_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                                   const Tensor& running_mean, const Tensor& running_var, double momentum,
                                                   double eps) {
  static const auto op = dispatched<BatchNormSignature>("tchx::batch_norm");
  return op.call(x, weight, bias, running_mean, running_var, momentum, eps);
}

struct BatchNorm : torch::autograd::Function<BatchNorm> {
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                               const Tensor& running_mean, const Tensor& running_var, double momentum, double eps) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const auto [y, mean, inverse] = call_batch_norm(x, weight, bias, running_mean, running_var, momentum, eps);
    context->save_for_backward({x, weight, mean, inverse});
    context->saved_data["eps"] = eps;
    context->mark_non_differentiable({mean, inverse});
    return {y, mean, inverse};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto [x, weight, bias] = gradients(context, grads[0], saved);
    return {x, weight, bias, Tensor(), Tensor(), Tensor(), Tensor()};
  }

  // libtorch's own have gradients.
  static std::tuple<Tensor, Tensor, Tensor> gradients(AutogradContext* context, const Tensor& grad,
                                                      const variable_list& saved) {
    if (!at::GradMode::is_enabled() && is_plain(grad)) {
      using Signature = std::tuple<Tensor, Tensor, Tensor>(const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                                           const Tensor&);
      static const auto op = dispatched<Signature>("tchx::batch_norm_backward");
      const at::AutoDispatchBelowADInplaceOrView below_autograd;
      return op.call(grad, saved[0], saved[1], saved[2], saved[3]);
    }
    return at::native_batch_norm_backward(
        grad, saved[0], saved[1], /*running_mean=*/{}, /*running_var=*/{}, saved[2], saved[3], /*train=*/true,
        context->saved_data["eps"].toDouble(),
        {context->needs_input_grad(0), context->needs_input_grad(1), context->needs_input_grad(2)});
  }
};

// ---- Dropout

// The words of a generator, many at a time.
class Words {
 public:
  explicit Words(at::CPUGeneratorImpl& generator) : generator_(generator), data_(generator.engine().data()) {}

  void fill(uint32_t* words, int count) {
    while (count > 0) {
      if (data_.left_ == 1) next_state();
      const int taken = std::min(count, data_.left_ - 1);
      tchx::temper(data_.state_.data() + data_.next_, words, taken);
      data_.left_ -= taken;
      data_.next_ += taken;
      words += taken;
      count -= taken;
    }
  }

  // The generator goes on behind the words that were taken.
  void put_back() {
    at::mt19937 engine;
    engine.set_data(data_);
    generator_.set_engine(engine);
  }

 private:
  void next_state() {
    const auto state = data_.state_;
    tchx::next_state(state.data(), data_.state_.data());
    // libtorch counts down before it draws.
    data_.left_ = tchx::kStateSize + 1;
    data_.next_ = 0;
  }

  at::CPUGeneratorImpl& generator_;
  at::mt19937_data_pod data_;
};

// noise.bernoulli_(kept, generator).div_(kept), for 0 < kept < 1: each draw is the low 53 bits of two words, which count 2^-53 each.
void draw_noise(float* noise, int64_t count, double kept, at::CPUGeneratorImpl& generator) {
  constexpr int64_t kDraws = 512;
  const auto limit = static_cast<int64_t>(std::ceil(std::ldexp(kept, 53)));
  const float scale = 1.0f / static_cast<float>(kept);
  uint32_t words[2 * kDraws];
  Words source(generator);
  for (int64_t done = 0; done < count; done += kDraws) {
    const int draws = static_cast<int>(std::min(kDraws, count - done));
    source.fill(words, 2 * draws);
    tchx::scale_if_below(words, noise + done, draws, limit, scale);
  }
  source.put_back();
}

Tensor libtorchs_noise_(const Tensor& noise, double kept, const std::optional<at::Generator>& generator) {
  return noise.bernoulli_(kept, generator).div_(kept);
}

// Whether libtorch draws so here. Its builds with MKL draw otherwise on Intel's processors.
bool libtorch_draws_alike() {
  for (double kept : {0.5, 0.7}) {
    at::Generator its = at::detail::createCPUGenerator(), own = its.clone();
    const Tensor expected = libtorchs_noise_(at::empty({3000}, at::kFloat), kept, its), noise = at::empty_like(expected);
    auto* generator = at::check_generator<at::CPUGeneratorImpl>(own);
    draw_noise(noise.mutable_data_ptr<float>(), noise.numel(), kept, *generator);
    if (!noise.equal(expected) || !its.get_state().equal(own.get_state())) return false;
  }
  return true;
}

Tensor& dropout_noise_(Tensor& noise, double kept) {
  static const bool alike = libtorch_draws_alike();
  if (!alike) {
    libtorchs_noise_(noise, kept, std::nullopt);
    return noise;
  }
  ++calls;
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  draw_noise(noise.mutable_data_ptr<float>(), noise.numel(), kept, *at::check_generator<at::CPUGeneratorImpl>(generator));
  return noise;
}

Tensor dropout(const Tensor& x, double p) {
  static const auto op = dispatched<Tensor&(Tensor&, double)>("tchx::dropout_noise_");
  Tensor noise = at::empty(x.sizes(), x.options());
  return at::mul(x, op.call(noise, 1 - p));
}

}  // namespace

TORCH_LIBRARY(tchx, m) {
  m.def("avg_pool_2x2(Tensor x) -> Tensor");
  m.def("avg_pool_2x2_backward(Tensor grad, Tensor x) -> Tensor");
  m.def("max_pool_2x2(Tensor x, bool relu) -> (Tensor, Tensor)");
  m.def("max_pool_2x2_backward(Tensor grad, Tensor x, Tensor positions) -> Tensor");
  m.def("conv2d(Tensor x, Tensor weight, Tensor bias, int padding) -> Tensor");
  m.def(
      "batch_norm(Tensor x, Tensor weight, Tensor bias, Tensor(a!) running_mean, Tensor(b!) running_var, float momentum, "
      "float eps) -> (Tensor, Tensor, Tensor)");
  m.def("batch_norm_backward(Tensor grad, Tensor x, Tensor weight, Tensor mean, Tensor inverse) -> (Tensor, Tensor, Tensor)");
  m.def("dropout_noise_(Tensor(a!) noise, float kept) -> Tensor(a!)");
}

TORCH_LIBRARY_IMPL(tchx, CPU, m) {
  m.impl("avg_pool_2x2", &avg_pool_2x2);
  m.impl("avg_pool_2x2_backward", &avg_pool_2x2_backward);
  m.impl("max_pool_2x2", &max_pool_2x2);
  m.impl("max_pool_2x2_backward", &max_pool_2x2_backward);
  m.impl("conv2d", &conv2d);
  m.impl("batch_norm", &batch_norm);
  m.impl("batch_norm_backward", &batch_norm_backward);
  m.impl("dropout_noise_", &dropout_noise_);
}

TORCH_LIBRARY_IMPL(tchx, Autograd, m) {
  m.impl("avg_pool_2x2", [](const Tensor& x) { return AvgPool::apply(x); });
  m.impl("max_pool_2x2", [](const Tensor& x, bool relu) {
    const variable_list results = MaxPool::apply(x, relu);
    return std::make_tuple(results[0], results[1]);
  });
  m.impl("conv2d", [](const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
    return Convolution::apply(x, weight, bias, padding);
  });
  m.impl("batch_norm", [](const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean, Tensor running_var,
                          double momentum, double eps) {
    const variable_list results = BatchNorm::apply(x, weight, bias, running_mean, running_var, momentum, eps);
    return std::make_tuple(results[0], results[1], results[2]);
  });
  m.impl("dropout_noise_", torch::CppFunction::makeFallthrough());
}

#else

namespace {

bool pools(const Tensor&) { return false; }
Tensor call_avg_pool(const Tensor& x) { return x; }
std::tuple<Tensor, Tensor> call_max_pool(const Tensor& x, bool) { return {x, x}; }
Tensor call_conv2d(const Tensor& x, const Tensor&, const Tensor&, int64_t) { return x; }
bool normalizes(const Tensor&, std::initializer_list<const Tensor*>) { return false; }
std::tuple<Tensor, Tensor, Tensor> call_batch_norm(const Tensor& x, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                                   double, double) {
  return {x, x, x};
}
Tensor dropout(const Tensor& x, double p) { return at::dropout(x, p, /*train=*/true); }

}  // namespace

#endif

void tchx_set_kernels_enabled(bool enable) noexcept { enabled = enable; }

uint64_t tchx_kernel_calls() noexcept { return calls; }

tchx_error tchx_avg_pool2d(tchx_tensor x, int64_t size, tchx_tensor* result) {
  return guarded([&] {
    const Tensor& images = tchx::tensor(x);
    const bool own = size == 2 && pools(images);
    *result = new Tensor(own ? call_avg_pool(images) : at::avg_pool2d(images, size));
  });
}

tchx_error tchx_max_pool2d(tchx_tensor x, int64_t size, int64_t stride, int64_t padding, tchx_tensor* result) {
  return guarded([&] {
    const Tensor& images = tchx::tensor(x);
    const bool own = size == 2 && stride == 2 && padding == 0 && pools(images);
    *result = new Tensor(own ? std::get<0>(call_max_pool(images, /*relu=*/false)) : at::max_pool2d(images, size, stride, padding));
  });
}

tchx_error tchx_conv2d(tchx_tensor x, tchx_tensor weight, tchx_tensor bias, int64_t padding, tchx_tensor* result) {
  return guarded([&] {
    const Tensor &images = tchx::tensor(x), &w = tchx::tensor(weight), &b = tchx::tensor(bias);
    const bool own = enabled && is_plain(images) && images.dim() == 4 && images.size(1) == 1 && is_plain(w) && is_plain(b) &&
                     !at::autocast::is_autocast_enabled(at::kCPU);
    *result = new Tensor(own ? call_conv2d(images, w, b, padding)
                             : at::conv2d(images, w, b, /*stride=*/1, padding));
  });
}

tchx_error tchx_relu_max_pool2d(tchx_tensor x, int64_t size, int64_t stride, int64_t padding, tchx_tensor* result) {
  return guarded([&] {
    const Tensor& images = tchx::tensor(x);
    const bool own = size == 2 && stride == 2 && padding == 0 && pools(images);
    *result = new Tensor(own ? std::get<0>(call_max_pool(images, /*relu=*/true))
                             : at::max_pool2d(at::relu(images), size, stride, padding));
  });
}

tchx_error tchx_batch_norm_training(tchx_tensor x, tchx_tensor weight, tchx_tensor bias, tchx_tensor running_mean,
                                    tchx_tensor running_var, double momentum, double eps, tchx_tensor* result) {
  return guarded([&] {
    const Tensor &images = tchx::tensor(x), &w = tchx::tensor(weight), &b = tchx::tensor(bias);
    const Tensor &mean = tchx::tensor(running_mean), &var = tchx::tensor(running_var);
    const bool own = normalizes(images, {&w, &b, &mean, &var});
    *result = new Tensor(own ? std::get<0>(call_batch_norm(images, w, b, mean, var, momentum, eps))
                             : at::batch_norm(images, w, b, mean, var, /*training=*/true, momentum, eps,
                                              /*cudnn_enabled=*/true));
  });
}

tchx_error tchx_dropout(tchx_tensor x, double p, bool train, tchx_tensor* result) {
  return guarded([&] {
    const Tensor& input = tchx::tensor(x);
    const bool own = enabled && train && p > 0 && p < 1 && is_plain(input);
    *result = new Tensor(own ? dropout(input, p) : at::dropout(input, p, train));
  });
}
