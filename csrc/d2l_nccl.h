// The C ABI over NCCL, by which processes exchange tensors on CUDA devices. Errors as in d2l_torch.h.
#pragma once
#include "d2l_dist.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether the headers of NCCL and CUDA were there when this was compiled.
bool d2l_has_nccl(void) D2L_NOEXCEPT;

// Lets the group exchange tensors of CUDA devices too; this rank's are on cuda:`cuda_index`, which becomes the current device.
d2l_error d2l_group_add_nccl(d2l_group group, d2l_store store, int rank, int size, int64_t cuda_index, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif
