#include "tchx_torch.h"

#include "tchx_guarded.h"

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

using tchx::guarded;
using tchx::tensor;

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

void tchx_free_message(tchx_error message) noexcept {
  if (message != tchx::no_memory) free(message);
}

const char* tchx_torch_version(void) noexcept { return TORCH_VERSION; }

const char* tchx_cpu_capability(void) noexcept {
  try {
    static const std::string capability = at::get_cpu_capability();
    return capability.c_str();
  } catch (...) {
    return "unknown";
  }
}

const char* tchx_cpu_instructions(void) noexcept {
  try {
    static const std::string instructions = cpu_instructions();
    return instructions.c_str();
  } catch (...) {
    return "unknown";
  }
}

int32_t tchx_mkl_cbwr(void) noexcept {
  constexpr int kAll = ~0;
  return mkl_serv_cbwr_get ? mkl_serv_cbwr_get(kAll) : 0;
}

void tchx_ignore_file_size_signal(void) noexcept {
#ifdef SIGXFSZ
  std::signal(SIGXFSZ, SIG_IGN);
#endif
}

bool tchx_signal_is_ignored(int32_t signal) noexcept {
  struct sigaction action;
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void tchx_exit_at_once(int32_t code) noexcept { std::_Exit(code); }

void tchx_keep_freed_memory(void) noexcept {
#ifdef __GLIBC__
  constexpr int kOneGiB = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kOneGiB);
  mallopt(M_TRIM_THRESHOLD, kOneGiB);
#endif
}

bool tchx_grad_enabled(void) noexcept { return at::GradMode::is_enabled(); }

void tchx_init_threads(void) noexcept { at::init_num_threads(); }

tchx_error tchx_generator_state(int64_t cuda_index, tchx_tensor* state) {
  return guarded([&] {
    at::Generator generator = default_generator(cuda_index);
    std::lock_guard<std::mutex> lock(generator.mutex());
    *state = new at::Tensor(generator.get_state());
  });
}

tchx_error tchx_set_generator_state(int64_t cuda_index, tchx_tensor state) {
  return guarded([&] {
    at::Generator generator = default_generator(cuda_index);
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(tensor(state));
  });
}

tchx_error tchx_random_u32(uint32_t* number) {
  return guarded([&] {
    at::Generator generator = default_generator(-1);
    std::lock_guard<std::mutex> lock(generator.mutex());
    *number = at::check_generator<at::CPUGeneratorImpl>(generator)->random();
  });
}

tchx_error tchx_clear_grad(tchx_tensor self) {
  return guarded([&] { tensor(self).mutable_grad() = at::Tensor(); });
}

tchx_error tchx_set_grad(tchx_tensor self, tchx_tensor grad) {
  return guarded([&] {
    const auto &own = tensor(self), &given = tensor(grad);
    TORCH_CHECK(own.sizes() == given.sizes() && own.scalar_type() == given.scalar_type() && own.device() == given.device(),
                "a gradient of another shape, kind or device than its tensor's");
    tensor(self).mutable_grad() = tensor(grad);
  });
}

tchx_error tchx_channels_last(tchx_tensor self, tchx_tensor* result) {
  return guarded([&] {
    const at::Tensor& from = tensor(self);
    *result = new at::Tensor(from.to(from.options(), /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::ChannelsLast));
  });
}

tchx_error tchx_enter_autocast(bool cuda, tchx_autocast* before) {
  return guarded([&] {
    const auto type = device_type(cuda);
    before->enabled = at::autocast::is_autocast_enabled(type);
    before->dtype = static_cast<int8_t>(at::autocast::get_autocast_dtype(type));
    at::autocast::set_autocast_enabled(type, true);
    at::autocast::set_autocast_dtype(type, at::kBFloat16);
    at::autocast::increment_nesting();
  });
}

tchx_error tchx_leave_autocast(bool cuda, const tchx_autocast* before) {
  return guarded([&] {
    const auto type = device_type(cuda);
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(type, before->enabled);
    at::autocast::set_autocast_dtype(type, static_cast<at::ScalarType>(before->dtype));
  });
}
