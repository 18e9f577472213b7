#include "d2l_torch.h"

#include "guarded.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Generator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/cpu/Utils.h>
#include <torch/headeronly/version.h>

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

using d2l::guarded;
using d2l::tensor;

// libtorch carries MKL's mkl_cbwr_get under the name that MKL itself calls it by. Null in a libtorch without MKL.
extern "C" __attribute__((weak)) int mkl_serv_cbwr_get(int option);

namespace {

std::string cpu_instructions() {
  std::set<std::string> names;
  for (const auto& [name, value] : at::cpu::get_cpu_capabilities()) {
    if (value.isBool() && value.toBool()) names.insert(name);
  }
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : " ") + name;
  return joined;
}

c10::DeviceType device_type(bool cuda) { return cuda ? c10::DeviceType::CUDA : c10::DeviceType::CPU; }

at::Generator default_generator(int64_t cuda_index) {
  if (cuda_index < 0) return at::detail::getDefaultCPUGenerator();
  at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
  return at::globalContext().defaultGenerator(
      c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(cuda_index)));
}

}  // namespace

void d2l_free_message(d2l_error message) noexcept {
  if (message != d2l::no_memory) free(message);
}

const char* d2l_torch_version(void) noexcept { return TORCH_VERSION; }

const char* d2l_cpu_capability(void) noexcept {
  try {
    static const std::string capability = at::get_cpu_capability();
    return capability.c_str();
  } catch (...) {
    return "unknown";
  }
}

const char* d2l_cpu_instructions(void) noexcept {
  try {
    static const std::string instructions = cpu_instructions();
    return instructions.c_str();
  } catch (...) {
    return "unknown";
  }
}

int32_t d2l_mkl_cbwr(void) noexcept {
  constexpr int kAll = ~0;
  return mkl_serv_cbwr_get ? mkl_serv_cbwr_get(kAll) : 0;
}

void d2l_ignore_file_size_signal(void) noexcept {
#ifdef SIGXFSZ
  std::signal(SIGXFSZ, SIG_IGN);
#endif
}

bool d2l_signal_is_ignored(int32_t signal) noexcept {
  struct sigaction action;
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void d2l_exit_at_once(int32_t code) noexcept { std::_Exit(code); }

void d2l_keep_freed_memory(void) noexcept {
#ifdef __GLIBC__
  constexpr int kOneGiB = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kOneGiB);
  mallopt(M_TRIM_THRESHOLD, kOneGiB);
#endif
}

bool d2l_grad_enabled(void) noexcept { return at::GradMode::is_enabled(); }

void d2l_init_threads(void) noexcept { at::init_num_threads(); }

d2l_error d2l_generator_state(int64_t cuda_index, d2l_tensor* state) {
  return guarded([&] {
    at::Generator generator = default_generator(cuda_index);
    std::lock_guard<std::mutex> lock(generator.mutex());
    *state = new at::Tensor(generator.get_state());
  });
}

d2l_error d2l_set_generator_state(int64_t cuda_index, d2l_tensor state) {
  return guarded([&] {
    at::Generator generator = default_generator(cuda_index);
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(tensor(state));
  });
}

d2l_error d2l_random_u32(uint32_t* number) {
  return guarded([&] {
    at::Generator generator = default_generator(-1);
    std::lock_guard<std::mutex> lock(generator.mutex());
    *number = at::check_generator<at::CPUGeneratorImpl>(generator)->random();
  });
}

d2l_error d2l_clear_grad(d2l_tensor self) {
  return guarded([&] { tensor(self).mutable_grad() = at::Tensor(); });
}

d2l_error d2l_set_grad(d2l_tensor self, d2l_tensor grad) {
  return guarded([&] {
    const auto &own = tensor(self), &given = tensor(grad);
    TORCH_CHECK(own.sizes() == given.sizes() && own.scalar_type() == given.scalar_type() && own.device() == given.device(),
                "a gradient of another shape, kind or device than its tensor's");
    tensor(self).mutable_grad() = tensor(grad);
  });
}

d2l_error d2l_channels_last(d2l_tensor self, d2l_tensor* result) {
  return guarded([&] {
    const at::Tensor& from = tensor(self);
    *result = new at::Tensor(from.to(from.options(), /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::ChannelsLast));
  });
}

d2l_error d2l_enter_autocast(bool cuda, d2l_autocast* before) {
  return guarded([&] {
    const auto type = device_type(cuda);
    before->enabled = at::autocast::is_autocast_enabled(type);
    before->dtype = static_cast<int8_t>(at::autocast::get_autocast_dtype(type));
    at::autocast::set_autocast_enabled(type, true);
    at::autocast::set_autocast_dtype(type, at::kBFloat16);
    at::autocast::increment_nesting();
  });
}

d2l_error d2l_leave_autocast(bool cuda, const d2l_autocast* before) {
  return guarded([&] {
    const auto type = device_type(cuda);
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(type, before->enabled);
    at::autocast::set_autocast_dtype(type, static_cast<at::ScalarType>(before->dtype));
  });
}
