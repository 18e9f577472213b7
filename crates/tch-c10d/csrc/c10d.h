// The classes of c10d behind the handles of tchx_dist.h.
#pragma once
#include "tchx_dist.h"

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <mutex>
#include <vector>

namespace tchx {

using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::ProcessGroup>;
using Work = c10::intrusive_ptr<c10d::Work>;

inline Store& store_of(tchx_store handle) { return *static_cast<Store*>(handle); }
inline Group& group_of(tchx_group handle) { return *static_cast<Group*>(handle); }

// No two threads may call a backend's collectives at once: a group numbers them as they are called, and what records them for all the
// groups of a process (c10d::FlightRecorder, in libtorch 2.11) changes a table without a lock.
template <typename Backend>
class OneAtATime : public Backend {
 public:
  using Backend::Backend;

  Work allreduce(std::vector<at::Tensor>& tensors, const c10d::AllreduceOptions& options) override {
    const std::lock_guard<std::mutex> alone(calls_);
    return Backend::allreduce(tensors, options);
  }

  Work broadcast(std::vector<at::Tensor>& tensors, const c10d::BroadcastOptions& options) override {
    const std::lock_guard<std::mutex> alone(calls_);
    return Backend::broadcast(tensors, options);
  }

  Work allgather(
      std::vector<std::vector<at::Tensor>>& outputs, std::vector<at::Tensor>& inputs, const c10d::AllgatherOptions& options) override {
    const std::lock_guard<std::mutex> alone(calls_);
    return Backend::allgather(outputs, inputs, options);
  }

  Work barrier(const c10d::BarrierOptions& options) override {
    const std::lock_guard<std::mutex> alone(calls_);
    return Backend::barrier(options);
  }

 private:
  inline static std::mutex calls_;
};

}  // namespace tchx
