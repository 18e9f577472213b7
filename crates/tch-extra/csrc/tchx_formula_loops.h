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

// The gradients of y, x, gamma and beta. And of each channel, what the gradient of x is made of: the gradient of mean, shared out to all its
// x, the part of it that comes by way of var, and the gradient of each (x - mean).pow(2).
struct Gradients {
  const float* y;
  float *x, *gamma, *beta, *mean, *mean_by_var, *square;
};

// Sets all gradients but y's to those that autograd finds.
void differentiate(const Batch& batch, const Inputs& in, const Gradients& gradients);

// moving = moving * momentum + batch * (1 - momentum).
void move(float* moving, const float* batch, int64_t channels, double momentum);

}  // namespace tchx::formula
