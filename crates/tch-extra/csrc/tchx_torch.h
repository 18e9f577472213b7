// The C ABI over what `tch` does not bind. Every function returns nullptr, or an error message that the
// caller frees with tchx_free_message, or it is TCHX_NOEXCEPT; so no C++ exception leaves it. Tensors are `at::Tensor*` as in torch-sys.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
#define TCHX_NOEXCEPT noexcept
extern "C" {
#else
#define TCHX_NOEXCEPT
#endif

typedef void* tchx_tensor;
typedef char* tchx_error;

void tchx_free_message(tchx_error message) TCHX_NOEXCEPT;

// The process's libtorch: its version ("2.11.0"), the CPU instructions its kernels chose ("AVX512"), and those that the processor has,
// sorted, with spaces between them. Static strings, never freed.
const char* tchx_torch_version(void) TCHX_NOEXCEPT;
const char* tchx_cpu_capability(void) TCHX_NOEXCEPT;
const char* tchx_cpu_instructions(void) TCHX_NOEXCEPT;

// What mkl_cbwr_get(MKL_CBWR_ALL) says: the mode of MKL's conditional numerical reproducibility; 0 if libtorch has no MKL.
int32_t tchx_mkl_cbwr(void) TCHX_NOEXCEPT;

// From now on, writing a file larger than the process may (ulimit -f) is an error of that write, and no longer kills the
// process (SIGXFSZ).
void tchx_ignore_file_size_signal(void) TCHX_NOEXCEPT;

// Whether the process ignores a signal. What it ignores when it begins, who started it wants to be ignored.
bool tchx_signal_is_ignored(int32_t signal) TCHX_NOEXCEPT;

// Ends the process without a destructor of libtorch's, which would pull the ground from under threads that compute.
void tchx_exit_at_once(int32_t code) TCHX_NOEXCEPT;

// Lets the C library keep freed memory instead of giving it back to the system, where it can be told to (glibc).
void tchx_keep_freed_memory(void) TCHX_NOEXCEPT;

// Whether the calling thread records gradients. libtorch has this for each thread by itself, true in a new one.
bool tchx_grad_enabled(void) TCHX_NOEXCEPT;

// Gives the calling thread the process's number of kernel threads, as libtorch does in the threads that it starts
// itself: OpenMP has the number for each thread by itself, and oneDNN takes it as it finds it.
void tchx_init_threads(void) TCHX_NOEXCEPT;

// State of the default random generator of the CPU (cuda_index -1) or of a CUDA device, as the byte tensor
// that torch.get_rng_state and torch.cuda.get_rng_state give.
tchx_error tchx_generator_state(int64_t cuda_index, tchx_tensor* state);
tchx_error tchx_set_generator_state(int64_t cuda_index, tchx_tensor state);

// The next 32 bits of the CPU's default generator, from which torch.rand, randint and uniform_ make their numbers.
tchx_error tchx_random_u32(uint32_t* number);

// Sets .grad to None, as optimizer.zero_grad() does since PyTorch 2.0; tch's zero_grad fills with zeros.
tchx_error tchx_clear_grad(tchx_tensor self);

// Sets .grad to a tensor, which it shares.
tchx_error tchx_set_grad(tchx_tensor self, tchx_tensor grad);

// Tensor.to(memory_format=torch.channels_last).
tchx_error tchx_channels_last(tchx_tensor self, tchx_tensor* result);

// What torch.autocast sets for a kind of device and one thread.
typedef struct {
  bool enabled;
  int8_t dtype;
} tchx_autocast;

// __enter__ and __exit__ of torch.autocast("cuda" or "cpu", dtype=torch.bfloat16), of the calling thread. The first
// says what was set before, the second sets it again.
tchx_error tchx_enter_autocast(bool cuda, tchx_autocast* before);
tchx_error tchx_leave_autocast(bool cuda, const tchx_autocast* before);

#ifdef __cplusplus
}
#endif
