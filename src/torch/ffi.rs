//! The declarations of `csrc/d2l_torch.h`, and its error convention turned into [`Result`].

use std::ffi::{CStr, c_char};

use torch_sys::C_tensor;

use crate::{Error, Result};

/// What autocast was set to before: `d2l_autocast`.
#[repr(C)]
#[derive(Default)]
pub struct Autocast {
    enabled: bool,
    dtype: i8,
}

unsafe extern "C" {
    fn d2l_free_message(message: *mut c_char);

    pub fn d2l_torch_version() -> *const c_char;
    pub fn d2l_cpu_capability() -> *const c_char;
    pub fn d2l_cpu_instructions() -> *const c_char;
    pub safe fn d2l_mkl_cbwr() -> i32;

    pub safe fn d2l_ignore_file_size_signal();
    pub safe fn d2l_signal_is_ignored(signal: i32) -> bool;
    pub safe fn d2l_exit_at_once(code: i32) -> !;
    pub safe fn d2l_keep_freed_memory();

    pub safe fn d2l_grad_enabled() -> bool;
    pub safe fn d2l_init_threads();

    pub fn d2l_generator_state(cuda_index: i64, state: *mut *mut C_tensor) -> *mut c_char;
    pub fn d2l_set_generator_state(cuda_index: i64, state: *const C_tensor) -> *mut c_char;

    pub fn d2l_random_u32(number: *mut u32) -> *mut c_char;

    pub fn d2l_add_alpha_(this: *const C_tensor, other: *const C_tensor, alpha: f64) -> *mut c_char;
    pub fn d2l_addcmul_value_(
        this: *const C_tensor,
        tensor1: *const C_tensor,
        tensor2: *const C_tensor,
        value: f64,
    ) -> *mut c_char;
    pub fn d2l_addcdiv_value_(
        this: *const C_tensor,
        tensor1: *const C_tensor,
        tensor2: *const C_tensor,
        value: f64,
    ) -> *mut c_char;
    pub fn d2l_clear_grad(this: *const C_tensor) -> *mut c_char;
    pub fn d2l_set_grad(this: *const C_tensor, grad: *const C_tensor) -> *mut c_char;
    pub fn d2l_channels_last(this: *const C_tensor, result: *mut *mut C_tensor) -> *mut c_char;

    pub fn d2l_enter_autocast(cuda: bool, before: *mut Autocast) -> *mut c_char;
    pub fn d2l_leave_autocast(cuda: bool, before: *const Autocast) -> *mut c_char;
}

/// Turns what a function of `csrc/` returned (null, or a message to be freed) into a [`Result`].
pub fn check(message: *mut c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: csrc/ returns null or a NUL-terminated string of its own, which lives until it is freed below.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    // SAFETY: the message came from csrc/, is freed once and not used after.
    unsafe { d2l_free_message(message) };
    let first_line = text.lines().next().unwrap_or_default();
    Err(Error::failed(
        format!("libtorch: {first_line}"),
        "if the device ran out of memory, choose a smaller --batch-size; else please report this",
    ))
}

/// Reads a static string of `csrc/`.
///
/// # Safety
/// `text` must point to a NUL-terminated string that lives as long as the process.
pub unsafe fn static_str(text: *const c_char) -> &'static str {
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    /// A C++ exception that reached Rust would end the process without a word: a function gives errors back, all of its
    /// body guarded, or is noexcept.
    #[test]
    fn no_exception_leaves_csrc() {
        let files = [
            (
                include_str!("../../csrc/d2l_torch.h"),
                include_str!("../../csrc/d2l_torch.cpp"),
                include_str!("ffi.rs"),
            ),
            (
                include_str!("../../csrc/d2l_cuda.h"),
                include_str!("../../csrc/d2l_cuda.cpp"),
                include_str!("ffi_cuda.rs"),
            ),
            (
                include_str!("../../csrc/d2l_multi_tensor.h"),
                include_str!("../../csrc/d2l_multi_tensor.cpp"),
                include_str!("ffi_multi_tensor.rs"),
            ),
            (
                include_str!("../../csrc/d2l_tape.h"),
                include_str!("../../csrc/d2l_tape.cpp"),
                include_str!("ffi_tape.rs"),
            ),
            (
                include_str!("../../csrc/d2l_dist.h"),
                include_str!("../../csrc/d2l_dist.cpp"),
                include_str!("c10d/ffi.rs"),
            ),
            (
                include_str!("../../csrc/d2l_nccl.h"),
                include_str!("../../csrc/d2l_nccl.cpp"),
                include_str!("c10d/ffi_nccl.rs"),
            ),
        ];
        let known = |line: &&str| line.starts_with("    ") && line.contains("fn d2l_") && !line.contains('"');
        for (header, source, rust) in files {
            let functions = functions_that_do_not_throw(header, source);
            assert_eq!(functions, rust.lines().filter(known).count(), "as many as Rust knows");
        }
    }

    /// How many functions `header` declares; none of them throws in `source`.
    fn functions_that_do_not_throw(header: &str, source: &str) -> usize {
        let mut functions = 0;
        for declaration in header.split(';') {
            let declares =
                |line: &&str| !line.starts_with("//") && line.contains(" d2l_") && line.contains('(');
            let Some(line) = declaration.lines().find(declares) else { continue };
            let signature = line.split_once('(').map_or(line, |(signature, _)| signature);
            functions += 1;
            if signature.starts_with("d2l_error ") {
                let defined = source.split_once(&format!("{signature}(")).map_or("", |(_, rest)| rest);
                let body = defined.split_once('{').map_or("", |(_, body)| body.trim_start());
                assert!(body.starts_with("return guarded("), "{signature} may throw");
            } else {
                assert!(declaration.ends_with(" D2L_NOEXCEPT"), "{signature} may throw");
            }
        }
        functions
    }
}
