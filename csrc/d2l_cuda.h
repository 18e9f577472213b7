// The C ABI over what a run on CUDA is governed by: switches that decide bits, the device's memory, its driver, CUDA graphs. It
// compiles without a CUDA toolkit; graphs alone need the headers of CUDA's runtime, which build.rs looks for.
#pragma once
#include "d2l_torch.h"

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
} d2l_determinism;

d2l_error d2l_get_determinism(d2l_determinism* now);
d2l_error d2l_set_determinism(const d2l_determinism* wanted);

// Sets CUBLAS_WORKSPACE_CONFIG=:4096:8 for this process, unless the user set it: without it, deterministic algorithms refuse
// matrix products on CUDA. Before cuBLAS is first used.
d2l_error d2l_set_cublas_workspace(void);

// Bytes in tensors, and bytes that the caching allocator took from the device for them; both with their peaks.
typedef struct {
  int64_t allocated;
  int64_t peak_allocated;
  int64_t reserved;
  int64_t peak_reserved;
} d2l_memory;

d2l_error d2l_memory_stats(int64_t cuda_index, d2l_memory* memory);
d2l_error d2l_reset_peak_memory(int64_t cuda_index);
d2l_error d2l_empty_cache(void);

// Bytes of the whole device, and those that no process has taken.
d2l_error d2l_device_bytes(int64_t cuda_index, uint64_t* free, uint64_t* total);

// A moment of a device's current stream: over when the stream has done what it was given before. Freed once.
typedef void* d2l_event;

d2l_error d2l_event_record(int64_t cuda_index, d2l_event* event);
d2l_error d2l_event_is_over(d2l_event event, bool* over);
void d2l_event_free(d2l_event event) D2L_NOEXCEPT;

// The CUDA version that libtorch_cuda was built for, 13000 for 13.0; 0 where it is not loaded.
d2l_error d2l_libtorch_cuda_version(int64_t* version);

// The version of the cuDNN that is loaded, 91900 for 9.19.0.
d2l_error d2l_cudnn_version(int64_t* version);

// The file that libtorch's CPU library was loaded from, or null if that is not known. Never freed.
const char* d2l_libtorch_file(void) D2L_NOEXCEPT;

// What NVIDIA's driver itself says, asked without libtorch.
typedef struct {
  bool found;       // libcuda.so.1 can be loaded
  int32_t status;   // of cuInit: 0, or a CUresult
  int32_t version;  // the newest CUDA that the driver runs, 13000 for 13.0; 0 if it does not say
  int32_t devices;  // how many it shows this process
} d2l_driver;

void d2l_driver_facts(d2l_driver* driver) D2L_NOEXCEPT;

// Writes the name of one of the driver's devices, NUL-terminated, into `size` bytes; an empty name if it has none.
void d2l_driver_device_name(int32_t index, char* name, int32_t size) D2L_NOEXCEPT;

// A CUdevice_attribute of one of the driver's devices; -1 if the driver does not say.
int32_t d2l_driver_device_attribute(int32_t index, int32_t attribute) D2L_NOEXCEPT;

// Whether CUDA graphs are compiled in.
bool d2l_has_graphs(void) D2L_NOEXCEPT;

// What torch.cuda.CUDAGraph is: kernels that are launched together. Capture begins on a stream of its own, with the device's
// default generator registered, and ends on the stream before. A graph is freed once, whatever became of it.
typedef void* d2l_graph;

d2l_error d2l_graph_begin(int64_t cuda_index, d2l_graph* graph);
d2l_error d2l_graph_end(d2l_graph graph);
d2l_error d2l_graph_replay(d2l_graph graph);
void d2l_graph_free(d2l_graph graph) D2L_NOEXCEPT;

#ifdef __cplusplus
}
#endif
