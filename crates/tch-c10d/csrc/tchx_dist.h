// The C ABI over torch.distributed's engine, c10d: its key-value store, process groups, and DistributedDataParallel's reducer. Errors
// and tensors as in tchx_torch.h. Every handle is freed once, by the function named after it.
#pragma once
#include "tchx_torch.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void* tchx_store;
typedef void* tchx_group;
typedef void* tchx_reducer;

// A TCPStore at host:port, under a prefix of its keys; with `serve`, this process is the one that others connect to. The prefix
// keeps what a restarted job writes from what it left there.
tchx_error tchx_store_connect(const char* host, uint16_t port, bool serve, int64_t timeout_ms, const char* prefix, tchx_store* store);
void tchx_store_free(tchx_store store) TCHX_NOEXCEPT;

tchx_error tchx_store_set(tchx_store store, const char* key, const uint8_t* value, size_t length);
// The value of `key` as a byte tensor (length); waits for the key as long as `timeout_ms`.
tchx_error tchx_store_get(tchx_store store, const char* key, int64_t timeout_ms, tchx_tensor* value);
tchx_error tchx_store_check(tchx_store store, const char* key, bool* there);

// ProcessGroupGloo of `size` ranks that meet at `store`. Waiting for all of them fails when it takes longer than the timeout, and so
// does a collective.
tchx_error tchx_group_gloo(tchx_store store, int rank, int size, int64_t timeout_ms, tchx_group* group);
void tchx_group_free(tchx_group group) TCHX_NOEXCEPT;

// Waits until every rank is here.
tchx_error tchx_group_barrier(tchx_group group);
// Replaces `tensor` by its sum over the ranks.
tchx_error tchx_group_all_reduce(tchx_group group, tchx_tensor tensor);
// torch.distributed.nn.functional.all_reduce(tensor, group=group): the sum over the ranks as a new tensor, through which gradients
// flow. The backward pass sums over the ranks too, so every rank makes it.
tchx_error tchx_group_sum(tchx_group group, tchx_tensor tensor, tchx_tensor* sum);
// Every rank's tensor, one after the other in a new first dimension.
tchx_error tchx_group_all_gather(tchx_group group, tchx_tensor tensor, tchx_tensor* all);
// Replaces the tensors by rank 0's, as dist._broadcast_coalesced(group, tensors, 250 MiB, 0).
tchx_error tchx_group_broadcast(tchx_group group, const tchx_tensor* tensors, size_t count);
// dist._verify_params_across_processes: fails if shapes or number differ from rank 0's.
tchx_error tchx_group_verify(tchx_group group, const tchx_tensor* params, size_t count);

// What DistributedDataParallel hooks to `params` with its defaults: their gradients are averaged over the ranks while the
// backward pass goes on. `layout`, where not null, is that of tchx_reducer_layout.
tchx_error tchx_reducer_new(tchx_group group, const tchx_tensor* params, size_t count, tchx_tensor layout, tchx_reducer* reducer);
void tchx_reducer_free(tchx_reducer reducer) TCHX_NOEXCEPT;
// What DistributedDataParallel does before and after a forward pass that a backward pass follows.
tchx_error tchx_reducer_before_forward(tchx_reducer reducer);
tchx_error tchx_reducer_after_forward(tchx_reducer reducer);
// What a step's exchange of gradients took on average, in nanoseconds, from the start of its first bucket to the end of its last, and for
// how long of that the backward pass still computed; of the steps that DistributedDataParallel's logger samples, 0 before there is one.
tchx_error tchx_reducer_times(tchx_reducer reducer, int64_t* exchange, int64_t* hidden);
// The bucket of each parameter and its place in it, int64 (count, 2), after the buckets were rebuilt: between two steps, on all
// ranks at once.
tchx_error tchx_reducer_layout(tchx_reducer reducer, tchx_tensor* layout);

#ifdef __cplusplus
}
#endif
