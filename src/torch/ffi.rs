//! The declarations of `csrc/d2l_torch.h`, and its error convention turned into [`Result`].

use std::ffi::{CStr, c_char};

use torch_sys::C_tensor;

use crate::{Error, Result};

unsafe extern "C" {
    fn d2l_free_message(message: *mut c_char);

    pub fn d2l_torch_version() -> *const c_char;
    pub fn d2l_cpu_capability() -> *const c_char;

    pub safe fn d2l_ignore_file_size_signal();
    pub safe fn d2l_keep_freed_memory();

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
        let (header, source) =
            (include_str!("../../csrc/d2l_torch.h"), include_str!("../../csrc/d2l_torch.cpp"));
        let declared: Vec<&str> = header.split(';').filter(|text| text.contains(" d2l_")).collect();
        let mut functions = 0;
        for declaration in declared.iter().filter(|text| text.contains('(') && text.contains(')')) {
            let Some(line) = declaration.lines().rfind(|line| line.contains(" d2l_")) else { continue };
            let Some((kind, rest)) =
                line.split_once(" d2l_").filter(|(kind, _)| !kind.starts_with("typedef"))
            else {
                continue;
            };
            let name = format!("d2l_{}(", rest.split('(').next().unwrap());
            functions += 1;
            if kind == "d2l_error" {
                let body = source.split(&format!("d2l_error {name}")).nth(1).unwrap_or_default();
                let body = body.split_once('{').map(|(_, body)| body.trim_start()).unwrap_or_default();
                assert!(body.starts_with("return guarded("), "{name}...) may throw");
            } else {
                assert!(line.ends_with("D2L_NOEXCEPT"), "{name}...) may throw");
            }
        }
        let known = include_str!("ffi.rs").lines().filter(|line| line.contains(" fn d2l_")).count();
        assert_eq!(functions, known, "as many as Rust knows");
    }
}
