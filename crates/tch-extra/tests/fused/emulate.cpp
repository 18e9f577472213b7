// Runs the kernels of csrc/fused.cu on a CPU, as the C++ that they are: `emulate REVERSED < inputs > outputs`, many cases in a row.
//
// The threads of a block are contexts of one thread, which takes them in turn from barrier to barrier: from the first to the last, or
// with REVERSED = 1 the other way round. Results that differ between the two come from a missing barrier.
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(threads)
#define __shared__ static

static struct {
  unsigned x;
} threadIdx, blockIdx;

static void __syncthreads();

#include "../../csrc/fused.cu"

static std::vector<ucontext_t> threads(kThreads);
static std::vector<unsigned> barriers(kThreads);  // that each thread has come to
static std::vector<bool> ended(kThreads);
static ucontext_t scheduler;
static std::function<void()> kernel;

static void __syncthreads() {
  const unsigned me = threadIdx.x;
  ++barriers[me];
  swapcontext(&threads[me], &scheduler);
}

static void run_thread() {
  kernel();
  ended[threadIdx.x] = true;
}

static void run_block(bool reversed) {
  static std::vector<std::vector<char>> stacks(kThreads, std::vector<char>(64 << 10));
  for (unsigned t = 0; t < kThreads; ++t) {
    getcontext(&threads[t]);
    threads[t].uc_stack.ss_sp = stacks[t].data();
    threads[t].uc_stack.ss_size = stacks[t].size();
    threads[t].uc_link = &scheduler;
    makecontext(&threads[t], run_thread, 0);
    barriers[t] = 0;
    ended[t] = false;
  }
  while (!ended[0]) {
    for (unsigned i = 0; i < kThreads; ++i) {
      threadIdx.x = reversed ? kThreads - 1 - i : i;
      swapcontext(&scheduler, &threads[threadIdx.x]);
    }
    for (unsigned t = 1; t < kThreads; ++t) {
      if (barriers[t] == barriers[0] && ended[t] == ended[0]) continue;
      std::fprintf(stderr, "thread %u does not wait where thread 0 waits\n", t);
      std::exit(1);
    }
  }
}

struct Case {
  Batch batch;
  int32_t activation;
  double momentum, eps;
};

static std::vector<float> read_floats(size_t count) {
  std::vector<float> values(count);
  if (std::fread(values.data(), sizeof(float), count, stdin) != count) std::exit(2);
  return values;
}

static void write_floats(const std::vector<float>& values) {
  std::fwrite(values.data(), sizeof(float), values.size(), stdout);
}

int main(int, char** arguments) {
  const bool reversed = arguments[1][0] == '1';
  Case c;
  while (std::fread(&c, sizeof c, 1, stdin) == 1) {
    const unsigned channels = c.batch.channels;
    const size_t count = size_t(c.batch.samples) * channels * c.batch.pixels;
    const auto x = read_floats(count), grad = read_floats(count), gamma = read_floats(channels), beta = read_floats(channels);
    auto moving_mean = read_floats(channels), moving_var = read_floats(channels);
    std::vector<float> y(count), grad_x(count), grad_gamma(channels), grad_beta(channels);
    std::vector<Statistics> saved(channels);
    const auto run = [&](auto work) {
      kernel = work;
      for (blockIdx.x = 0; blockIdx.x < channels; ++blockIdx.x) run_block(reversed);
    };
    run([&] {
      batch_norm_act(c.batch, x.data(), gamma.data(), beta.data(), moving_mean.data(), moving_var.data(), c.momentum, c.eps,
                     c.activation, y.data(), saved.data());
    });
    run([&] {
      batch_norm_act_backward(c.batch, grad.data(), x.data(), beta.data(), saved.data(), c.activation, grad_x.data(),
                              grad_gamma.data(), grad_beta.data());
    });
    for (const auto* values : {&y, &moving_mean, &moving_var, &grad_x, &grad_gamma, &grad_beta}) write_floats(*values);
  }
}
