//! The declarations of `csrc/d2l_tape.h`.

use std::ffi::{c_char, c_void};

unsafe extern "C" {
    pub fn d2l_tape_begin(tape: *mut *mut c_void) -> *mut c_char;
    pub fn d2l_tape_end(tape: *mut c_void) -> *mut c_char;
    pub fn d2l_tape_replay(tape: *mut c_void) -> *mut c_char;
    pub fn d2l_tape_free(tape: *mut c_void);
}
