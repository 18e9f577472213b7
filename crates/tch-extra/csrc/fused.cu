// Batch norm by the formula of "Dive into Deep Learning" (section 7.5) and the activation after it, in one kernel for each direction.
// tchx_fused.cpp compiles this file at run time. A block computes a channel, so that nothing is added across blocks.
//
// x is (samples, channels, pixels), without gaps. Sums are f64: a thread adds up its own elements from first to last, then the block
// adds up the threads' sums as a tree. The order depends on the shape alone, so that two runs have the same bits. A second pass over
// x - mean gives the variance, which is biased. What is computed of these sums is f64 and rounded to f32 at the end; the mean is kept as
// two f32, whose sum it is. Elements are f32, rounded after each operation or fmaf: compile without contraction.

namespace {

constexpr unsigned kThreads = 1024;

struct Batch {
  unsigned samples, channels, pixels;
};

// What forward finds of a channel, and backward needs again: 1 / sqrt(var + eps) and gamma / sqrt(var + eps), each rounded once.
struct Statistics {
  float mean, rest_of_mean, inverse_deviation, factor;

  __device__ float centred(float x) const { return (x - mean) - rest_of_mean; }
  __device__ float scaled(float x, float beta) const { return fmaf(factor, centred(x), beta); }
};

// Those of tch_extra::fused::Activation.
enum Activation : int { kNone, kRelu, kSigmoid };

__device__ float activated(int activation, float z) {
  if (activation == kRelu) return z <= 0 ? 0 : z;  // NaN stays
  if (activation == kNone) return z;
  const float e = expf(-fabsf(z));
  return (z < 0 ? e : 1) / (1 + e);
}

// The gradient of z from that of activated(z).
__device__ float through_activation(int activation, float z, float grad) {
  if (activation == kRelu) return z <= 0 ? 0 : grad;
  if (activation == kNone) return grad;
  const float e = expf(-fabsf(z));
  return grad * (e / ((1 + e) * (1 + e)));
}

// Calls f(index in x) for the thread's elements of the block's channel.
template <class F>
__device__ void each_element(Batch batch, F f) {
  unsigned sample = threadIdx.x / batch.pixels, pixel = threadIdx.x % batch.pixels;
  while (sample < batch.samples) {
    f((sample * batch.channels + blockIdx.x) * batch.pixels + pixel);
    sample += kThreads / batch.pixels;
    pixel += kThreads % batch.pixels;
    if (pixel >= batch.pixels) {
      pixel -= batch.pixels;
      ++sample;
    }
  }
}

// The sum of all threads' values, for each of them.
__device__ double sum_of_block(double value) {
  __shared__ double values[kThreads];
  __syncthreads();  // every thread has read the sum before this one
  values[threadIdx.x] = value;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
  }
  __syncthreads();
  return values[0];
}

}  // namespace

// y = activation(gamma * (x - mean) / sqrt(var + eps) + beta). The moving statistics keep the share `momentum`.
// `saved` has the statistics of each channel for the other kernel.
extern "C" __global__ void __launch_bounds__(kThreads)
    batch_norm_act(Batch batch, const float* __restrict__ x, const float* gamma, const float* beta, float* moving_mean, float* moving_var,
                   double momentum, double eps, int activation, float* __restrict__ y, Statistics* saved) {
  const unsigned channel = blockIdx.x;
  const double count = double(batch.samples) * batch.pixels;
  double sum = 0;
  each_element(batch, [&](unsigned i) { sum += x[i]; });
  const double mean = sum_of_block(sum) / count;
  Statistics of_channel = {float(mean), float(mean - float(mean)), 0, 0};

  double squares = 0;
  each_element(batch, [&](unsigned i) {
    const double distance = of_channel.centred(x[i]);
    squares += distance * distance;
  });
  const double var = sum_of_block(squares) / count;
  const double deviation = sqrt(var + eps);
  of_channel.inverse_deviation = float(1 / deviation);
  of_channel.factor = float(gamma[channel] / deviation);

  if (threadIdx.x == 0) {
    moving_mean[channel] = float(momentum * moving_mean[channel] + (1 - momentum) * mean);
    moving_var[channel] = float(momentum * moving_var[channel] + (1 - momentum) * var);
    saved[channel] = of_channel;
  }
  const float shift = beta[channel];
  each_element(batch, [&](unsigned i) { y[i] = activated(activation, of_channel.scaled(x[i], shift)); });
}

// The gradients of x, gamma and beta from that of y. What forward computed of x is computed again, with the same bits.
extern "C" __global__ void __launch_bounds__(kThreads)
    batch_norm_act_backward(Batch batch, const float* __restrict__ grad, const float* __restrict__ x, const float* beta,
                            const Statistics* saved, int activation, float* __restrict__ grad_x, float* grad_gamma, float* grad_beta) {
  const unsigned channel = blockIdx.x;
  const double count = double(batch.samples) * batch.pixels;
  const Statistics of_channel = saved[channel];
  const float shift = beta[channel];
  const auto grad_of_scaled = [&](unsigned i) {
    return through_activation(activation, of_channel.scaled(x[i], shift), grad[i]);
  };
  const auto x_hat = [&](unsigned i) { return of_channel.centred(x[i]) * of_channel.inverse_deviation; };

  double sum = 0, sum_with_x_hat = 0;
  each_element(batch, [&](unsigned i) {
    const double g = grad_of_scaled(i);
    sum += g;
    sum_with_x_hat += g * x_hat(i);
  });
  sum = sum_of_block(sum);
  sum_with_x_hat = sum_of_block(sum_with_x_hat);
  if (threadIdx.x == 0) {
    grad_beta[channel] = float(sum);
    grad_gamma[channel] = float(sum_with_x_hat);
  }

  const float mean = float(sum / count), slope = float(sum_with_x_hat / count);
  each_element(batch, [&](unsigned i) {
    grad_x[i] = of_channel.factor * fmaf(-x_hat(i), slope, grad_of_scaled(i) - mean);
  });
}
