// The loops of tchx_formula.cpp, without a word of libtorch, for x86-64 processors with AVX2. Each number is rounded after each operation,
// as by separate operations over tensors, and sums add up in libtorch's order: so results have the same bits.
#pragma once
#include <cstdint>

namespace tchx::formula {

// Numbers that libtorch adds up side by side, whatever the processor.
constexpr int64_t kLanes = 8;

// It adds up longer sums in larger blocks.
constexpr int64_t kLongestSum = 1 << 19;

// Channels begin to end of a batch (samples, channels, pixels): kLanes to kLongestSum pixels, or a single one, kLanes channels or more, and
// kLongestSum samples or less.
struct Batch {
  int64_t samples, channels, pixels, begin, end;
};

// Sets mean = x.mean() and var = (x - mean).pow(2).mean() of each channel.
void set_statistics(const Batch& batch, const float* x, float* mean, float* var);

// A batch x, and of each channel gamma, the mean, and sqrt(var + eps).
struct Inputs {
  const float *x, *gamma, *mean, *deviation;
};

// y = gamma * ((x - mean) / deviation) + beta.
void normalize(const Batch& batch, const Inputs& in, const float* beta, float* y);

// The gradients of y, gamma and beta; the gradients that x gets by way of x - mean in x_hat and in var; and of each channel, the gradient
// that every x gets by way of mean, the part of it that comes by way of var, and the gradient of each (x - mean).pow(2).
struct Gradients {
  const float* y;
  float *x_by_x_hat, *x_by_var, *gamma, *beta, *mean, *mean_by_var, *square;
};

// Sets all gradients but y's to those that autograd finds.
void differentiate(const Batch& batch, const Inputs& in, const Gradients& gradients);

// moving = moving * momentum + batch * (1 - momentum).
void move(float* moving, const float* batch, int64_t channels, double momentum);

}  // namespace tchx::formula
