// The C ABI over what `tch` does not bind. Every function returns nullptr, or an error message that the
// caller frees with d2l_free_message, or it is D2L_NOEXCEPT; so no C++ exception leaves it. Tensors are `at::Tensor*` as in torch-sys.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
#define D2L_NOEXCEPT noexcept
extern "C" {
#else
#define D2L_NOEXCEPT
#endif

typedef void* d2l_tensor;
typedef char* d2l_error;

void d2l_free_message(d2l_error message) D2L_NOEXCEPT;

// The process's libtorch: its version ("2.11.0"), the CPU instructions its kernels chose ("AVX512"), and those that the processor has,
// sorted, with spaces between them. Static strings, never freed.
const char* d2l_torch_version(void) D2L_NOEXCEPT;
const char* d2l_cpu_capability(void) D2L_NOEXCEPT;
const char* d2l_cpu_instructions(void) D2L_NOEXCEPT;

// What mkl_cbwr_get(MKL_CBWR_ALL) says: the mode of MKL's conditional numerical reproducibility; 0 if libtorch has no MKL.
int32_t d2l_mkl_cbwr(void) D2L_NOEXCEPT;

// From now on, writing a file larger than the process may (ulimit -f) is an error of that write, and no longer kills the
// process (SIGXFSZ).
void d2l_ignore_file_size_signal(void) D2L_NOEXCEPT;

// Whether the process ignores a signal. What it ignores when it begins, who started it wants to be ignored.
bool d2l_signal_is_ignored(int32_t signal) D2L_NOEXCEPT;

// Ends the process without a destructor of libtorch's, which would pull the ground from under threads that compute.
void d2l_exit_at_once(int32_t code) D2L_NOEXCEPT;

// Lets the C library keep freed memory instead of giving it back to the system, where it can be told to (glibc).
void d2l_keep_freed_memory(void) D2L_NOEXCEPT;

// Whether the calling thread records gradients. libtorch has this for each thread by itself, true in a new one.
bool d2l_grad_enabled(void) D2L_NOEXCEPT;

// Gives the calling thread the process's number of kernel threads, as libtorch does in the threads that it starts
// itself: OpenMP has the number for each thread by itself, and oneDNN takes it as it finds it.
void d2l_init_threads(void) D2L_NOEXCEPT;

// State of the default random generator of the CPU (cuda_index -1) or of a CUDA device, as the byte tensor
// that torch.get_rng_state and torch.cuda.get_rng_state give.
d2l_error d2l_generator_state(int64_t cuda_index, d2l_tensor* state);
d2l_error d2l_set_generator_state(int64_t cuda_index, d2l_tensor state);

// The next 32 bits of the CPU's default generator, from which torch.rand, randint and uniform_ make their numbers.
d2l_error d2l_random_u32(uint32_t* number);

// Sets .grad to None, as optimizer.zero_grad() does since PyTorch 2.0; tch's zero_grad fills with zeros.
d2l_error d2l_clear_grad(d2l_tensor self);

// Sets .grad to a tensor, which it shares.
d2l_error d2l_set_grad(d2l_tensor self, d2l_tensor grad);

// Tensor.to(memory_format=torch.channels_last).
d2l_error d2l_channels_last(d2l_tensor self, d2l_tensor* result);

// What torch.autocast sets for a kind of device and one thread.
typedef struct {
  bool enabled;
  int8_t dtype;
} d2l_autocast;

// __enter__ and __exit__ of torch.autocast("cuda" or "cpu", dtype=torch.bfloat16), of the calling thread. The first
// says what was set before, the second sets it again.
d2l_error d2l_enter_autocast(bool cuda, d2l_autocast* before);
d2l_error d2l_leave_autocast(bool cuda, const d2l_autocast* before);

#ifdef __cplusplus
}
#endif
