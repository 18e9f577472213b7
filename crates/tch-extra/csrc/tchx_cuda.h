// The C ABI over what a run on CUDA is governed by: switches that decide bits, the device's memory, its driver, CUDA graphs. It
// compiles without a CUDA toolkit; graphs alone need the headers of CUDA's runtime, which build.rs looks for.
#pragma once
#include "tchx_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

// torch.use_deterministic_algorithms(algorithms, warn_only=), torch.backends.cudnn.deterministic and .benchmark,
// torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32: of the process.
typedef struct {
  bool algorithms;
  bool warn_only;
  bool cudnn_deterministic;
  bool cudnn_benchmark;
  bool matmul_tf32;
  bool cudnn_tf32;
} tchx_determinism;

tchx_error tchx_get_determinism(tchx_determinism* now);
tchx_error tchx_set_determinism(const tchx_determinism* wanted);

// Bytes in tensors, and bytes that the caching allocator took from the device for them; both with their peaks.
typedef struct {
  int64_t allocated;
  int64_t peak_allocated;
  int64_t reserved;
  int64_t peak_reserved;
} tchx_memory;

tchx_error tchx_memory_stats(int64_t cuda_index, tchx_memory* memory);
tchx_error tchx_reset_peak_memory(int64_t cuda_index);
tchx_error tchx_empty_cache(void);

// Bytes of the whole device, and those that no process has taken.
tchx_error tchx_device_bytes(int64_t cuda_index, uint64_t* free, uint64_t* total);

// A moment of a device's current stream: over when the stream has done what it was given before. Freed once.
typedef void* tchx_event;

tchx_error tchx_event_record(int64_t cuda_index, tchx_event* event);
tchx_error tchx_event_is_over(tchx_event event, bool* over);
void tchx_event_free(tchx_event event) TCHX_NOEXCEPT;

// The CUDA version that libtorch_cuda was built for, 13000 for 13.0; 0 where it is not loaded.
tchx_error tchx_libtorch_cuda_version(int64_t* version);

// The version of the cuDNN that is loaded, 91900 for 9.19.0.
tchx_error tchx_cudnn_version(int64_t* version);

// The file that libtorch's CPU library was loaded from, or null if that is not known. Never freed.
const char* tchx_libtorch_file(void) TCHX_NOEXCEPT;

// What NVIDIA's driver itself says, asked without libtorch.
typedef struct {
  bool found;       // libcuda.so.1 can be loaded
  int32_t status;   // of cuInit: 0, or a CUresult
  int32_t version;  // the newest CUDA that the driver runs, 13000 for 13.0; 0 if it does not say
  int32_t devices;  // how many it shows this process
} tchx_driver;

void tchx_driver_facts(tchx_driver* driver) TCHX_NOEXCEPT;

// Writes the name of one of the driver's devices, NUL-terminated, into `size` bytes; an empty name if it has none.
void tchx_driver_device_name(int32_t index, char* name, int32_t size) TCHX_NOEXCEPT;

// A CUdevice_attribute of one of the driver's devices; -1 if the driver does not say.
int32_t tchx_driver_device_attribute(int32_t index, int32_t attribute) TCHX_NOEXCEPT;

// Whether CUDA graphs are compiled in.
bool tchx_has_graphs(void) TCHX_NOEXCEPT;

// What torch.cuda.CUDAGraph is: kernels that are launched together. Capture begins on a stream of its own, with the device's
// default generator registered, and ends on the stream before. A graph is freed once, whatever became of it.
typedef void* tchx_graph;

tchx_error tchx_graph_begin(int64_t cuda_index, tchx_graph* graph);
tchx_error tchx_graph_end(tchx_graph graph);
tchx_error tchx_graph_replay(tchx_graph graph);
void tchx_graph_free(tchx_graph graph) TCHX_NOEXCEPT;

#ifdef __cplusplus
}
#endif
