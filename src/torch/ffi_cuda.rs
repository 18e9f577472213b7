//! The declarations of `csrc/d2l_cuda.h`.

use std::ffi::{c_char, c_void};

use super::Determinism;

/// `d2l_memory`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Memory {
    pub allocated: i64,
    pub peak_allocated: i64,
    pub reserved: i64,
    pub peak_reserved: i64,
}

/// `d2l_driver`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Driver {
    pub found: bool,
    pub status: i32,
    pub version: i32,
    pub devices: i32,
}

unsafe extern "C" {
    pub fn d2l_get_determinism(now: *mut Determinism) -> *mut c_char;
    pub fn d2l_set_determinism(wanted: *const Determinism) -> *mut c_char;
    pub fn d2l_set_cublas_workspace() -> *mut c_char;

    pub fn d2l_memory_stats(cuda_index: i64, memory: *mut Memory) -> *mut c_char;
    pub fn d2l_reset_peak_memory(cuda_index: i64) -> *mut c_char;
    pub fn d2l_empty_cache() -> *mut c_char;
    pub fn d2l_device_bytes(cuda_index: i64, free: *mut u64, total: *mut u64) -> *mut c_char;

    pub fn d2l_event_record(cuda_index: i64, event: *mut *mut c_void) -> *mut c_char;
    pub fn d2l_event_is_over(event: *mut c_void, over: *mut bool) -> *mut c_char;
    pub fn d2l_event_free(event: *mut c_void);

    pub fn d2l_libtorch_cuda_version(version: *mut i64) -> *mut c_char;
    pub fn d2l_cudnn_version(version: *mut i64) -> *mut c_char;
    pub safe fn d2l_libtorch_file() -> *const c_char;
    pub fn d2l_driver_facts(driver: *mut Driver);
    pub fn d2l_driver_device_name(index: i32, name: *mut c_char, size: i32);
    pub safe fn d2l_driver_device_attribute(index: i32, attribute: i32) -> i32;

    pub safe fn d2l_has_graphs() -> bool;
    pub fn d2l_graph_begin(cuda_index: i64, graph: *mut *mut c_void) -> *mut c_char;
    pub fn d2l_graph_end(graph: *mut c_void) -> *mut c_char;
    pub fn d2l_graph_replay(graph: *mut c_void) -> *mut c_char;
    pub fn d2l_graph_free(graph: *mut c_void);
}
