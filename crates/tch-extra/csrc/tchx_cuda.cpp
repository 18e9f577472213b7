#include "tchx_cuda.h"

#include "tchx_driver.h"
#include "tchx_guarded.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#ifdef TCHX_CUDA_GRAPHS
#include <ATen/cuda/CUDAGraph.h>
#endif

using tchx::driver_function;
using tchx::guarded;

namespace {

constexpr auto kCuda = c10::DeviceType::CUDA;

// The allocator of CUDA's memory, ready for use.
c10::DeviceAllocator& cuda_allocator() {
  at::globalContext().lazyInitDevice(kCuda);
  return *c10::getDeviceAllocator(kCuda);
}

c10::DeviceIndex device_index(int64_t cuda_index) {
  const auto devices = at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  TORCH_CHECK(cuda_index >= 0 && cuda_index < devices, "no device cuda:", cuda_index, " among ", int(devices));
  return static_cast<c10::DeviceIndex>(cuda_index);
}

#ifdef TCHX_CUDA_GRAPHS

// libtorch does not clean up after a capture that CUDA refuses to end: its allocator goes on asking the graph, and its generator
// waits. Such a graph is never freed, and no other follows it.
std::atomic<bool> capture_broke = false;

// Where captures on a device happen: one stream, as cuBLAS keeps memory for each.
c10::Stream capture_stream(const c10::impl::VirtualGuardImpl& thread, c10::Device device) {
  static std::mutex turn;
  static std::map<c10::DeviceIndex, c10::Stream> streams;
  const std::lock_guard<std::mutex> mine(turn);
  const auto found = streams.find(device.index());
  if (found != streams.end()) return found->second;
  return streams.emplace(device.index(), thread.getStreamFromGlobalPool(device)).first->second;
}

// A graph, and what its capture changed for this thread.
struct Graph {
  explicit Graph(c10::DeviceIndex index)
      : device(kCuda, index), thread(kCuda), device_before(thread.exchangeDevice(device)), stream_before(thread.getStream(device)) {}

  void begin() {
    TORCH_CHECK(!capture_broke, "a capture broke off in this process, and libtorch takes none after it");
    thread.synchronizeDevice(device.index());
    cuda_allocator().emptyCache();
    thread.exchangeStream(capture_stream(thread, device));
    graph.register_generator_state(at::globalContext().defaultGenerator(device));
    // Other threads may prepare batches meanwhile, and copy them to the device.
    graph.capture_begin(/*pool=*/{0, 0}, cudaStreamCaptureModeThreadLocal);
  }

  // The thread as it was before the capture.
  void restore() {
    thread.exchangeStream(stream_before);
    thread.exchangeDevice(device_before);
  }

  // The same, but for what libtorch keeps of a capture that has no end.
  void abandon() {
    restore();
    is_abandoned = capture_broke = true;
  }

  at::cuda::CUDAGraph graph;
  c10::Device device;
  c10::impl::VirtualGuardImpl thread;
  c10::Device device_before;
  c10::Stream stream_before;
  bool is_abandoned = false;
};

#else

struct Graph {
  explicit Graph(c10::DeviceIndex) { TORCH_CHECK(false, "this build has no CUDA graphs"); }
  const bool is_abandoned = false;
};

#endif

Graph& graph_of(tchx_graph graph) { return *static_cast<Graph*>(graph); }

}  // namespace

tchx_error tchx_get_determinism(tchx_determinism* now) {
  return guarded([&] {
    const at::Context& context = at::globalContext();
    now->algorithms = context.deterministicAlgorithms();
    now->warn_only = context.deterministicAlgorithmsWarnOnly();
    now->cudnn_deterministic = context.deterministicCuDNN();
    now->cudnn_benchmark = context.benchmarkCuDNN();
    now->matmul_tf32 = context.allowTF32CuBLAS();
    now->cudnn_tf32 = context.allowTF32CuDNN();
  });
}

tchx_error tchx_set_determinism(const tchx_determinism* wanted) {
  return guarded([&] {
    at::Context& context = at::globalContext();
    context.setDeterministicAlgorithms(wanted->algorithms, wanted->warn_only);
    context.setDeterministicCuDNN(wanted->cudnn_deterministic);
    context.setBenchmarkCuDNN(wanted->cudnn_benchmark);
    context.setAllowTF32CuBLAS(wanted->matmul_tf32);
    context.setAllowTF32CuDNN(wanted->cudnn_tf32);
  });
}

tchx_error tchx_memory_stats(int64_t cuda_index, tchx_memory* memory) {
  return guarded([&] {
    const auto stats = cuda_allocator().getDeviceStats(device_index(cuda_index));
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto &allocated = stats.allocated_bytes[kAll], &reserved = stats.reserved_bytes[kAll];
    *memory = {allocated.current, allocated.peak, reserved.current, reserved.peak};
  });
}

tchx_error tchx_reset_peak_memory(int64_t cuda_index) {
  return guarded([&] { cuda_allocator().resetPeakStats(device_index(cuda_index)); });
}

tchx_error tchx_empty_cache(void) {
  return guarded([] { cuda_allocator().emptyCache(); });
}

tchx_error tchx_device_bytes(int64_t cuda_index, uint64_t* free, uint64_t* total) {
  return guarded([&] {
    const auto [bytes_free, bytes_total] = cuda_allocator().getMemoryInfo(device_index(cuda_index));
    *free = bytes_free;
    *total = bytes_total;
  });
}

tchx_error tchx_event_record(int64_t cuda_index, tchx_event* event) {
  return guarded([&] {
    const c10::Device device(kCuda, device_index(cuda_index));
    auto moment = std::make_unique<c10::Event>(kCuda);
    moment->record(c10::impl::VirtualGuardImpl(kCuda).getStream(device));
    *event = moment.release();
  });
}

tchx_error tchx_event_is_over(tchx_event event, bool* over) {
  return guarded([&] { *over = static_cast<c10::Event*>(event)->query(); });
}

void tchx_event_free(tchx_event event) noexcept { delete static_cast<c10::Event*>(event); }

tchx_error tchx_libtorch_cuda_version(int64_t* version) {
  return guarded([&] { *version = at::Context::hasCUDART() ? at::Context::versionCUDART() : 0; });
}

tchx_error tchx_cudnn_version(int64_t* version) {
  return guarded([&] { *version = at::detail::getCUDAHooks().versionRuntimeCuDNN(); });
}

const char* tchx_libtorch_file(void) noexcept {
#ifdef TCHX_HAS_DLFCN
  Dl_info info;
  const bool known = dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) != 0;
  return known ? info.dli_fname : nullptr;
#else
  return nullptr;
#endif
}

void tchx_driver_facts(tchx_driver* driver) noexcept {
  *driver = {};
  const auto init = driver_function<int (*)(unsigned)>("cuInit");
  const auto version = driver_function<int (*)(int*)>("cuDriverGetVersion");
  const auto count = driver_function<int (*)(int*)>("cuDeviceGetCount");
  if (!init || !version || !count) return;
  driver->found = true;
  if (version(&driver->version) != 0) driver->version = 0;
  driver->status = init(0);
  if (driver->status != 0 || count(&driver->devices) != 0) driver->devices = 0;
}

void tchx_driver_device_name(int32_t index, char* name, int32_t size) noexcept {
  if (size > 0) name[0] = '\0';
  const auto device = driver_function<int (*)(int*, int)>("cuDeviceGet");
  const auto device_name = driver_function<int (*)(char*, int, int)>("cuDeviceGetName");
  int handle = 0;
  if (device && device_name && device(&handle, index) == 0) device_name(name, size, handle);
}

int32_t tchx_driver_device_attribute(int32_t index, int32_t attribute) noexcept {
  const auto device = driver_function<int (*)(int*, int)>("cuDeviceGet");
  const auto get = driver_function<int (*)(int*, int, int)>("cuDeviceGetAttribute");
  int handle = 0, value = 0;
  const bool known = device && get && device(&handle, index) == 0 && get(&value, attribute, handle) == 0;
  return known ? value : -1;
}

bool tchx_has_graphs(void) noexcept {
#ifdef TCHX_CUDA_GRAPHS
  return true;
#else
  return false;
#endif
}

tchx_error tchx_graph_begin(int64_t cuda_index, tchx_graph* graph) {
  return guarded([&] {
    at::globalContext().lazyInitDevice(kCuda);
    [[maybe_unused]] auto begun = std::make_unique<Graph>(device_index(cuda_index));
#ifdef TCHX_CUDA_GRAPHS
    try {
      begun->begin();
    } catch (...) {
      begun.release()->abandon();
      throw;
    }
#endif
    *graph = begun.release();
  });
}

tchx_error tchx_graph_end(tchx_graph graph) {
  return guarded([&] {
    [[maybe_unused]] Graph& captured = graph_of(graph);
#ifdef TCHX_CUDA_GRAPHS
    try {
      captured.graph.capture_end();
    } catch (...) {
      captured.abandon();
      throw;
    }
    captured.restore();
#endif
  });
}

tchx_error tchx_graph_replay(tchx_graph graph) {
  return guarded([&] {
    [[maybe_unused]] Graph& captured = graph_of(graph);
#ifdef TCHX_CUDA_GRAPHS
    const c10::Device before = captured.thread.exchangeDevice(captured.device);
    try {
      captured.graph.replay();
    } catch (...) {
      captured.thread.exchangeDevice(before);
      throw;
    }
    captured.thread.exchangeDevice(before);
#endif
  });
}

void tchx_graph_free(tchx_graph graph) noexcept {
  if (!graph_of(graph).is_abandoned) delete &graph_of(graph);
}
