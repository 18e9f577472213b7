// The C ABI over tapes: what a step computes on a CPU, written down operation by operation and done again on the same memory. It is
// to a CPU what a CUDA graph is to a GPU: numbers of the host are frozen, and nothing may be read back.
#pragma once
#include "d2l_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void* d2l_tape;

// From begin to end, what this thread computes is done and written down. One at a time in a thread. A tape is freed once, after its
// end.
d2l_error d2l_tape_begin(d2l_tape* tape);
d2l_error d2l_tape_end(d2l_tape tape);
d2l_error d2l_tape_replay(d2l_tape tape);
void d2l_tape_free(d2l_tape tape) D2L_NOEXCEPT;

#ifdef __cplusplus
}
#endif
