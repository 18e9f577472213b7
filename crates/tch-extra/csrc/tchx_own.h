// What all kernels of our own need: the switch, what they take, libtorch's dispatcher and its threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace tchx {

// Whether the process computes with them.
inline std::atomic<bool> enabled{true};

// How many times they have computed.
inline std::atomic<uint64_t> calls{0};

// An operator of ours, as it is called through libtorch's dispatcher: so autograd, recorded steps and others see it.
template <class Signature>
c10::TypedOperatorHandle<Signature> dispatched(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

// Floats on a CPU in PyTorch's usual layout.
inline bool is_plain(const at::Tensor& x) {
  return x.device().is_cpu() && x.scalar_type() == at::kFloat && x.layout() == at::kStrided && x.numel() > 0 &&
         x.is_contiguous() && x.suggest_memory_format() == at::MemoryFormat::Contiguous &&
         !x._fw_grad(/*level=*/0).defined();
}

// Calls work(begin, end) for parts of 0 to count, in libtorch's threads. A tensor iterator over as many bytes divides them: at::parallel_for
// would have threads only in code that is compiled and linked with libtorch's own OpenMP.
template <class Work>
void in_threads(int64_t count, int64_t elements_of_each, Work work) {
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / elements_of_each);
  if (count <= grain || at::get_num_threads() == 1) return work(0, count);
  const at::Tensor bytes = at::empty({count}, at::kByte);
  const char* first = static_cast<const char*>(bytes.const_data_ptr());
  const auto part = [&](char** data, const int64_t*, int64_t inner, int64_t outer) {
    const int64_t begin = data[0] - first;
    work(begin, begin + inner * outer);
  };
  at::TensorIteratorConfig config;
  config.resize_outputs(false).check_all_same_dtype(false).add_output(bytes).declare_static_shape(bytes.sizes());
  config.build().for_each(part, grain);
}

}  // namespace tchx
