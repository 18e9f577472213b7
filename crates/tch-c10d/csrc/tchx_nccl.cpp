#include "tchx_nccl.h"

#include "c10d.h"
#include "tchx_guarded.h"

#ifdef TCHX_NCCL
// libtorch's wheels are built with NCCL; the header looks for the definition of that build.
#define USE_C10D_NCCL
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <chrono>
#endif

using tchx::group_of;
using tchx::guarded;
using tchx::store_of;

#ifdef TCHX_NCCL

bool tchx_has_nccl(void) noexcept { return true; }

tchx_error tchx_group_add_nccl(tchx_group group, tchx_store store, int rank, int size, int64_t cuda_index, int64_t timeout_ms) {
  return guarded([&] {
    const c10::impl::VirtualGuardImpl cuda(c10::DeviceType::CUDA);
    cuda.setDevice({c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(cuda_index)});
    const tchx::Store under = c10::make_intrusive<c10d::PrefixStore>("nccl", store_of(store));
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    const auto nccl = c10::make_intrusive<tchx::OneAtATime<c10d::ProcessGroupNCCL>>(under, rank, size, std::move(options));
    group_of(group)->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL, nccl);
  });
}

#else

bool tchx_has_nccl(void) noexcept { return false; }

tchx_error tchx_group_add_nccl(tchx_group, tchx_store, int, int, int64_t, int64_t) {
  return guarded([] { TORCH_CHECK(false, "compiled without NCCL"); });
}

#endif
