//! The declarations of `csrc/d2l_nccl.h`.

use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    pub safe fn d2l_has_nccl() -> bool;
    pub fn d2l_group_add_nccl(
        group: *mut c_void,
        store: *mut c_void,
        rank: c_int,
        size: c_int,
        cuda_index: i64,
        timeout_ms: i64,
    ) -> *mut c_char;
}
