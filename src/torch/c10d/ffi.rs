//! The declarations of `csrc/d2l_dist.h`.

use std::ffi::{c_char, c_int, c_void};

use torch_sys::C_tensor;

unsafe extern "C" {
    pub fn d2l_store_connect(
        host: *const c_char,
        port: u16,
        serve: bool,
        timeout_ms: i64,
        prefix: *const c_char,
        store: *mut *mut c_void,
    ) -> *mut c_char;
    pub fn d2l_store_free(store: *mut c_void);
    pub fn d2l_store_set(
        store: *mut c_void,
        key: *const c_char,
        value: *const u8,
        length: usize,
    ) -> *mut c_char;
    pub fn d2l_store_get(
        store: *mut c_void,
        key: *const c_char,
        timeout_ms: i64,
        value: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub fn d2l_store_check(store: *mut c_void, key: *const c_char, there: *mut bool) -> *mut c_char;

    pub fn d2l_group_gloo(
        store: *mut c_void,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
        group: *mut *mut c_void,
    ) -> *mut c_char;
    pub fn d2l_group_free(group: *mut c_void);
    pub fn d2l_group_barrier(group: *mut c_void) -> *mut c_char;
    pub fn d2l_group_all_reduce(group: *mut c_void, tensor: *mut C_tensor) -> *mut c_char;
    pub fn d2l_group_sum(group: *mut c_void, tensor: *mut C_tensor, sum: *mut *mut C_tensor) -> *mut c_char;
    pub fn d2l_group_broadcast(
        group: *mut c_void,
        tensors: *const *mut C_tensor,
        count: usize,
    ) -> *mut c_char;
    pub fn d2l_group_verify(group: *mut c_void, params: *const *mut C_tensor, count: usize) -> *mut c_char;

    pub fn d2l_reducer_new(
        group: *mut c_void,
        params: *const *mut C_tensor,
        count: usize,
        layout: *mut C_tensor,
        reducer: *mut *mut c_void,
    ) -> *mut c_char;
    pub fn d2l_reducer_free(reducer: *mut c_void);
    pub fn d2l_reducer_before_forward(reducer: *mut c_void) -> *mut c_char;
    pub fn d2l_reducer_after_forward(reducer: *mut c_void) -> *mut c_char;
    pub fn d2l_reducer_times(reducer: *mut c_void, exchange: *mut i64, hidden: *mut i64) -> *mut c_char;
    pub fn d2l_reducer_layout(reducer: *mut c_void, layout: *mut *mut C_tensor) -> *mut c_char;
}
