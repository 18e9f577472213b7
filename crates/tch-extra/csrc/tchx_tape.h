// The C ABI over tapes: what a step computes on a CPU, written down operation by operation and done again on the same memory. It is
// to a CPU what a CUDA graph is to a GPU: numbers of the host are frozen, and nothing may be read back.
#pragma once
#include "tchx_torch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void* tchx_tape;

// From begin to end, what this thread computes is done and written down. One at a time in a thread. A tape is freed once, after its
// end.
tchx_error tchx_tape_begin(tchx_tape* tape);
tchx_error tchx_tape_end(tchx_tape tape);
tchx_error tchx_tape_replay(tchx_tape tape);
void tchx_tape_free(tchx_tape tape) TCHX_NOEXCEPT;

#ifdef __cplusplus
}
#endif
