#include "tchx_dist.h"

#include "c10d.h"
#include "tchx_guarded.h"

// libtorch's wheels are built with Gloo; the header looks for the definition of that build.
#define USE_C10D_GLOO
#include <c10/util/Flags.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <unordered_map>
#include <utility>

C10_DECLARE_int(caffe2_log_level);

using tchx::Group;
using tchx::group_of;
using tchx::guarded;
using tchx::Store;
using tchx::store_of;
using tchx::tensor;
using std::chrono::milliseconds;

namespace {

// DistributedDataParallel.broadcast_bucket_size.
constexpr size_t kBroadcastBytes = 250 * 1024 * 1024;

// What Gloo has at least to connect ranks that are all here. When that time runs out, it frees the ends of connections while its own
// thread may be making them, and the process crashes (seen with libtorch 2.11 on busy machines).
constexpr milliseconds kConnect = std::chrono::minutes(1);

struct Reducer {
  std::vector<at::Tensor> params;
  std::shared_ptr<c10d::Reducer> reducer;
  // DistributedDataParallel's own, which samples what steps take.
  c10d::Logger logger;
};

// c10d logs what it also throws, with a stack trace, before anyone can catch it. PyTorch's variable still shows it.
void silence_log() {
  constexpr int kFatal = 3;
  if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = kFatal;
}

Reducer& reducer_of(tchx_reducer handle) { return *static_cast<Reducer*>(handle); }

std::vector<at::Tensor> tensors_of(const tchx_tensor* tensors, size_t count) {
  std::vector<at::Tensor> all;
  for (size_t i = 0; i < count; ++i) all.push_back(tensor(tensors[i]));
  return all;
}

// The buckets of DistributedDataParallel's first step: one for each kind and device of parameter. It finds better ones by then.
std::vector<std::vector<size_t>> first_buckets(const std::vector<at::Tensor>& params) {
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(params, {std::numeric_limits<int64_t>::max()}));
  return {buckets.rbegin(), buckets.rend()};
}

std::vector<std::vector<size_t>> saved_buckets(const at::Tensor& layout, size_t count) {
  TORCH_CHECK(layout.sizes() == at::IntArrayRef({static_cast<int64_t>(count), 2}), "the buckets are those of another network");
  const auto places = layout.to(at::kLong).contiguous();
  std::vector<std::vector<size_t>> buckets;
  for (int64_t parameter = 0; parameter < places.size(0); ++parameter) {
    const auto bucket = static_cast<size_t>(places[parameter][0].item<int64_t>());
    const auto place = static_cast<size_t>(places[parameter][1].item<int64_t>());
    TORCH_CHECK(bucket < count && place < count, "the buckets are those of another network");
    if (buckets.size() <= bucket) buckets.resize(bucket + 1);
    if (buckets[bucket].size() <= place) buckets[bucket].resize(place + 1, count);
    buckets[bucket][place] = static_cast<size_t>(parameter);
  }
  for (const auto& bucket : buckets) {
    TORCH_CHECK(!bucket.empty(), "the buckets are those of another network");
    for (const auto parameter : bucket) TORCH_CHECK(parameter < count, "the buckets are those of another network");
  }
  return buckets;
}

// A sum over the ranks. Each rank's loss depends on every rank's share of it: the gradient of a share is the sum of theirs.
class SumOverRanks : public torch::autograd::Function<SumOverRanks> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& share, const Group& group) {
    context->saved_data["group"] = c10::IValue::make_capsule(group);
    std::vector<at::Tensor> sum{share.clone(at::MemoryFormat::Contiguous)};
    group->allreduce(sum)->wait();
    return sum[0];
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, const torch::autograd::variable_list& gradients) {
    const auto group = c10::static_intrusive_pointer_cast<c10d::ProcessGroup>(context->saved_data["group"].toCapsule());
    return {apply(gradients[0], group), at::Tensor()};
  }
};

// Waits until every rank is here. One that has waited in vain is not here any more.
void roll_call(const Store& store, int rank, int size, milliseconds timeout) {
  const auto name = [](int of) { return "here/" + std::to_string(of); };
  std::vector<std::string> all;
  for (int of = 0; of < size; ++of) all.push_back(name(of));
  store->set(name(rank), std::vector<uint8_t>{1});
  try {
    store->wait(all, timeout);
  } catch (...) {
    store->deleteKey(name(rank));
    throw;
  }
}

std::unordered_map<size_t, std::string> numbers_as_names(size_t count) {
  std::unordered_map<size_t, std::string> names;
  for (size_t i = 0; i < count; ++i) names[i] = std::to_string(i);
  return names;
}

}  // namespace

tchx_error tchx_store_connect(const char* host, uint16_t port, bool serve, int64_t timeout_ms, const char* prefix, tchx_store* store) {
  return guarded([&] {
    silence_log();
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    options.waitWorkers = false;
    options.multiTenant = true;
    options.timeout = milliseconds(timeout_ms);
    const Store tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
    *store = new Store(c10::make_intrusive<c10d::PrefixStore>(prefix, tcp));
  });
}

void tchx_store_free(tchx_store store) noexcept { delete static_cast<Store*>(store); }

tchx_error tchx_store_set(tchx_store store, const char* key, const uint8_t* value, size_t length) {
  return guarded([&] { store_of(store)->set(key, std::vector<uint8_t>(value, value + length)); });
}

tchx_error tchx_store_get(tchx_store store, const char* key, int64_t timeout_ms, tchx_tensor* value) {
  return guarded([&] {
    Store& from = store_of(store);
    from->wait({key}, milliseconds(timeout_ms));
    std::vector<uint8_t> bytes = from->get(key);
    *value = new at::Tensor(at::from_blob(bytes.data(), {static_cast<int64_t>(bytes.size())}, at::kByte).clone());
  });
}

tchx_error tchx_store_check(tchx_store store, const char* key, bool* there) {
  return guarded([&] { *there = store_of(store)->check({key}); });
}

tchx_error tchx_group_gloo(tchx_store store, int rank, int size, int64_t timeout_ms, tchx_group* group) {
  return guarded([&] {
    const Store under = c10::make_intrusive<c10d::PrefixStore>("gloo", store_of(store));
    const milliseconds timeout(timeout_ms);
    roll_call(under, rank, size, timeout);
    const auto options = c10d::ProcessGroupGloo::Options::create_default(std::max(timeout, kConnect));
    const auto gloo = c10::make_intrusive<tchx::OneAtATime<c10d::ProcessGroupGloo>>(under, rank, size, options);
    gloo->setTimeout(timeout);
    auto made = c10::make_intrusive<c10d::ProcessGroup>(under, rank, size);
    made->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
    made->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO, gloo);
    *group = new Group(std::move(made));
  });
}

void tchx_group_free(tchx_group group) noexcept { delete static_cast<Group*>(group); }

tchx_error tchx_group_barrier(tchx_group group) {
  return guarded([&] { group_of(group)->barrier()->wait(); });
}

// Backends take a tensor's memory from its first element on, without gaps.
static void check_dense(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_non_overlapping_and_dense(), "a tensor whose elements do not fill its memory, each once, cannot be exchanged in place");
}

tchx_error tchx_group_all_reduce(tchx_group group, tchx_tensor self) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    check_dense(tensor(self));
    std::vector<at::Tensor> tensors{tensor(self)};
    group_of(group)->allreduce(tensors)->wait();
  });
}

tchx_error tchx_group_sum(tchx_group group, tchx_tensor self, tchx_tensor* sum) {
  return guarded([&] { *sum = new at::Tensor(SumOverRanks::apply(tensor(self), group_of(group))); });
}

tchx_error tchx_group_all_gather(tchx_group group, tchx_tensor self, tchx_tensor* all) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> mine{tensor(self).contiguous()};
    auto sizes = mine[0].sizes().vec();
    sizes.insert(sizes.begin(), group_of(group)->getSize());
    const auto gathered = at::empty(sizes, mine[0].options());
    std::vector<std::vector<at::Tensor>> places{gathered.unbind()};
    group_of(group)->allgather(places, mine)->wait();
    *all = new at::Tensor(gathered);
  });
}

tchx_error tchx_group_broadcast(tchx_group group, const tchx_tensor* tensors, size_t count) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const auto all = tensors_of(tensors, count);
    for (const at::Tensor& one : all) check_dense(one);
    c10d::broadcast_coalesced(group_of(group), all, kBroadcastBytes, 0);
  });
}

tchx_error tchx_group_verify(tchx_group group, const tchx_tensor* params, size_t count) {
  return guarded([&] {
    TORCH_CHECK(count > 0, "there are no parameters");
    c10d::verify_params_across_processes(group_of(group), tensors_of(params, count), {});
  });
}

tchx_error tchx_reducer_new(tchx_group group, const tchx_tensor* params, size_t count, tchx_tensor layout, tchx_reducer* reducer) {
  return guarded([&] {
    auto all = tensors_of(params, count);
    TORCH_CHECK(count > 0, "there are no parameters");
    for (const at::Tensor& one : all) TORCH_CHECK(one.requires_grad() && one.is_leaf(), "a parameter is no leaf that requires a gradient");
    auto buckets = layout ? saved_buckets(tensor(layout), count) : first_buckets(all);
    const auto under = std::make_shared<c10d::Reducer>(
        all, std::move(buckets), group_of(group), std::vector<bool>(count, false), c10d::kDefaultBucketBytesCap,
        /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/false, numbers_as_names(count),
        c10d::kDefaultFirstBucketBytes, /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
        /*bucket_bytes_cap_list=*/std::vector<int64_t>{});
    *reducer = new Reducer{all, under, c10d::Logger(under)};
  });
}

// Its destructor may throw in theory (it removes hooks); there is nothing to be done about it but to leave them.
void tchx_reducer_free(tchx_reducer reducer) noexcept {
  try {
    delete static_cast<Reducer*>(reducer);
  } catch (...) {
  }
}

tchx_error tchx_reducer_before_forward(tchx_reducer reducer) {
  return guarded([&] {
    auto& [params, under, logger] = reducer_of(reducer);
    logger.set_runtime_stats_and_log();
    under->prepare_for_forward();
    under->rebuild_buckets();
  });
}

tchx_error tchx_reducer_after_forward(tchx_reducer reducer) {
  return guarded([&] { reducer_of(reducer).reducer->prepare_for_backward({}); });
}

tchx_error tchx_reducer_times(tchx_reducer reducer, int64_t* exchange, int64_t* hidden) {
  return guarded([&] {
    auto sampled = reducer_of(reducer).logger.get_ddp_logging_data().ints_map;
    *exchange = sampled["avg_backward_comm_time"];
    *hidden = sampled["avg_backward_compute_comm_overlap_time"];
  });
}

tchx_error tchx_reducer_layout(tchx_reducer reducer, tchx_tensor* layout) {
  return guarded([&] {
    auto& [params, under, logger] = reducer_of(reducer);
    under->rebuild_buckets();
    auto places = at::empty({static_cast<int64_t>(params.size()), 2}, at::kLong);
    for (const auto& bucket : under->get_grad_buckets()) {
      const auto members = bucket.getParameters();
      for (size_t place = 0; place < members.size(); ++place) {
        for (size_t i = 0; i < params.size(); ++i) {
          if (!params[i].is_same(members[place])) continue;
          places[static_cast<int64_t>(i)][0].fill_(static_cast<int64_t>(bucket.getIndex()));
          places[static_cast<int64_t>(i)][1].fill_(static_cast<int64_t>(place));
        }
      }
    }
    *layout = new at::Tensor(places);
  });
}
