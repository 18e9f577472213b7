// The C ABI over NCCL, by which processes exchange tensors on CUDA devices. Errors as in tchx_torch.h.
#pragma once
#include "tchx_dist.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether the headers of NCCL and CUDA were there when this was compiled.
bool tchx_has_nccl(void) TCHX_NOEXCEPT;

// Lets the group exchange tensors of CUDA devices too; this rank's are on cuda:`cuda_index`, which becomes the current device.
tchx_error tchx_group_add_nccl(tchx_group group, tchx_store store, int rank, int size, int64_t cuda_index, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif
