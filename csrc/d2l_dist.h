// The C ABI over torch.distributed's engine, c10d: its key-value store, process groups, and DistributedDataParallel's reducer. Errors
// and tensors as in d2l_torch.h. Every handle is freed once, by the function named after it.
#pragma once
#include "d2l_torch.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void* d2l_store;
typedef void* d2l_group;
typedef void* d2l_reducer;

// A TCPStore at host:port, under a prefix of its keys; with `serve`, this process is the one that others connect to. The prefix
// keeps what a restarted job writes from what it left there.
d2l_error d2l_store_connect(const char* host, uint16_t port, bool serve, int64_t timeout_ms, const char* prefix, d2l_store* store);
void d2l_store_free(d2l_store store) D2L_NOEXCEPT;

d2l_error d2l_store_set(d2l_store store, const char* key, const uint8_t* value, size_t length);
// The value of `key` as a byte tensor (length); waits for the key as long as `timeout_ms`.
d2l_error d2l_store_get(d2l_store store, const char* key, int64_t timeout_ms, d2l_tensor* value);
d2l_error d2l_store_check(d2l_store store, const char* key, bool* there);

// ProcessGroupGloo of `size` ranks that meet at `store`. Waiting for all of them fails when it takes longer than the timeout, and so
// does a collective.
d2l_error d2l_group_gloo(d2l_store store, int rank, int size, int64_t timeout_ms, d2l_group* group);
void d2l_group_free(d2l_group group) D2L_NOEXCEPT;

// Waits until every rank is here.
d2l_error d2l_group_barrier(d2l_group group);
// Replaces `tensor` by its sum over the ranks.
d2l_error d2l_group_all_reduce(d2l_group group, d2l_tensor tensor);
// torch.distributed.nn.functional.all_reduce(tensor, group=group): the sum over the ranks as a new tensor, through which gradients
// flow. The backward pass sums over the ranks too, so every rank makes it.
d2l_error d2l_group_sum(d2l_group group, d2l_tensor tensor, d2l_tensor* sum);
// Replaces the tensors by rank 0's, as dist._broadcast_coalesced(group, tensors, 250 MiB, 0).
d2l_error d2l_group_broadcast(d2l_group group, const d2l_tensor* tensors, size_t count);
// dist._verify_params_across_processes: fails if shapes or number differ from rank 0's.
d2l_error d2l_group_verify(d2l_group group, const d2l_tensor* params, size_t count);

// What DistributedDataParallel hooks to `params` with its defaults: their gradients are averaged over the ranks while the
// backward pass goes on. `layout`, where not null, is that of d2l_reducer_layout.
d2l_error d2l_reducer_new(d2l_group group, const d2l_tensor* params, size_t count, d2l_tensor layout, d2l_reducer* reducer);
void d2l_reducer_free(d2l_reducer reducer) D2L_NOEXCEPT;
// What DistributedDataParallel does before and after a forward pass that a backward pass follows.
d2l_error d2l_reducer_before_forward(d2l_reducer reducer);
d2l_error d2l_reducer_after_forward(d2l_reducer reducer);
// What a step's exchange of gradients took on average, in nanoseconds, from the start of its first bucket to the end of its last, and for
// how long of that the backward pass still computed; of the steps that DistributedDataParallel's logger samples, 0 before there is one.
d2l_error d2l_reducer_times(d2l_reducer reducer, int64_t* exchange, int64_t* hidden);
// The bucket of each parameter and its place in it, int64 (count, 2), after the buckets were rebuilt: between two steps, on all
// ranks at once.
d2l_error d2l_reducer_layout(d2l_reducer reducer, d2l_tensor* layout);

#ifdef __cplusplus
}
#endif
