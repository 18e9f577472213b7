//! For C++ of one's own behind a C ABI: types whose values are what C++ needs (a tensor that lives during the call, a place for a result),
//! so that most functions can be declared `safe fn`. This crate's own wrappers are made with them.
//!
//! The C++ includes `tchx_guarded.h`, whose folder the build script of a dependent crate finds in `DEP_TCH_EXTRA_INCLUDE`, and guards the
//! body of each function, so that no exception leaves it:
//!
//! ```c++
//! extern "C" tchx_error my_square(tchx_tensor x, tchx_tensor* result) {
//!   return tchx::guarded([&] { *result = new at::Tensor(tchx::tensor(x).square()); });
//! }
//! ```
//!
//! ```ignore
//! unsafe extern "C" {
//!     safe fn my_square(x: TensorRef, result: &mut Made<C_tensor>) -> Outcome;
//! }
//! fn square(x: &Tensor) -> Result<Tensor> {
//!     new_tensor(|result| my_square(x.into(), result))
//! }
//! ```

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::{Error, Result};

unsafe extern "C" {
    fn tchx_free_message(message: *mut c_char);
}

/// `tchx_error`: null, or a message that is freed when it is read.
#[must_use]
#[repr(transparent)]
pub struct Outcome(*mut c_char);

impl Outcome {
    /// The message as an error.
    ///
    /// # Errors
    /// If there is a message.
    pub fn check(self) -> Result<()> {
        if self.0.is_null() {
            return Ok(());
        }
        // SAFETY: csrc/ returns null or a NUL-terminated string of its own, which lives until it is freed below.
        let text = unsafe { CStr::from_ptr(self.0) }.to_string_lossy().into_owned();
        // SAFETY: the message came from csrc/, is freed once and not used after.
        unsafe { tchx_free_message(self.0) };
        let first_line = text.lines().next().unwrap_or_default();
        Err(Error::Torch(first_line.to_owned()))
    }

    /// As `tch`'s infallible operations do: panics with the message.
    ///
    /// # Panics
    /// If there is a message.
    pub fn unwrap(self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }
}

/// `tchx_tensor` of a tensor that lives during the call. C++ may change what is in it, as `tch` may through a clone.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct TensorRef<'a>(NonNull<C_tensor>, PhantomData<&'a Tensor>);

impl<'a> From<&'a Tensor> for TensorRef<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self(NonNull::new(tensor.as_ptr().cast_mut()).expect("tch has no null tensors"), PhantomData)
    }
}

/// What C++ takes for a list of tensors.
pub fn references(tensors: &[Tensor]) -> Vec<TensorRef<'_>> {
    tensors.iter().map(TensorRef::from).collect()
}

/// A NUL-terminated string.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Text<'a>(NonNull<c_char>, PhantomData<&'a CStr>);

impl<'a> From<&'a CStr> for Text<'a> {
    fn from(text: &'a CStr) -> Self {
        Self(NonNull::from(text).cast(), PhantomData)
    }
}

impl<'a> Text<'a> {
    /// The bytes before the NUL.
    pub fn bytes(self) -> &'a [u8] {
        // SAFETY: NUL-terminated, and made by csrc/ or from a `CStr`, either of which lives for 'a.
        unsafe { CStr::from_ptr(self.0.as_ptr()) }.to_bytes()
    }

    /// The text; `unknown` if it is not UTF-8.
    pub fn to_str(self) -> &'a str {
        str::from_utf8(self.bytes()).unwrap_or("unknown")
    }
}

/// The place where C++ puts a pointer to what it made.
#[repr(transparent)]
pub struct Made<T>(*mut T);

/// The tensor that `make` has C++ make.
///
/// # Errors
/// The message of `make`.
pub fn new_tensor(make: impl FnOnce(&mut Made<C_tensor>) -> Outcome) -> Result<Tensor> {
    Ok(optional_tensor(make)?.expect("csrc/ gives a tensor or an error"))
}

/// As [`new_tensor`], or `None` where `make` left NULL.
///
/// # Errors
/// The message of `make`.
pub fn optional_tensor(make: impl FnOnce(&mut Made<C_tensor>) -> Outcome) -> Result<Option<Tensor>> {
    let mut made = Made(ptr::null_mut());
    make(&mut made).check()?;
    // SAFETY: csrc/ put a new tensor there; no one else has the pointer.
    Ok((!made.0.is_null()).then(|| unsafe { Tensor::from_ptr(made.0) }))
}

/// What C++ made, and frees when this is dropped.
#[derive(Debug)]
pub struct Handle<T> {
    made: NonNull<T>,
    free: unsafe extern "C" fn(NonNull<T>),
}

impl<T> Handle<T> {
    /// What `make` has C++ make, and `free` frees.
    ///
    /// # Errors
    /// The message of `make`.
    pub fn new(
        free: unsafe extern "C" fn(NonNull<T>),
        make: impl FnOnce(&mut Made<T>) -> Outcome,
    ) -> Result<Self> {
        let mut made = Made(ptr::null_mut());
        make(&mut made).check()?;
        Ok(Self { made: NonNull::new(made.0).expect("csrc/ gives a handle or an error"), free })
    }
}

impl<T> Deref for Handle<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it lives until this is dropped; Rust knows no byte of a `T`.
        unsafe { self.made.as_ref() }
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: csrc/ made it, and it is freed once.
        unsafe { (self.free)(self.made) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    /// A C++ exception that reached Rust would end the process without a word: a function gives errors back, all of its
    /// body guarded, or is noexcept.
    #[test]
    fn no_exception_leaves_csrc() {
        let declared: usize = [
            (include_str!("../csrc/tchx_torch.h"), include_str!("../csrc/tchx_torch.cpp")),
            (include_str!("../csrc/tchx_cuda.h"), include_str!("../csrc/tchx_cuda.cpp")),
            (include_str!("../csrc/tchx_formula.h"), include_str!("../csrc/tchx_formula.cpp")),
            (include_str!("../csrc/tchx_fused.h"), include_str!("../csrc/tchx_fused.cpp")),
            (include_str!("../csrc/tchx_kernels.h"), include_str!("../csrc/tchx_kernels.cpp")),
            (include_str!("../csrc/tchx_multi_tensor.h"), include_str!("../csrc/tchx_multi_tensor.cpp")),
            (include_str!("../csrc/tchx_tape.h"), include_str!("../csrc/tchx_tape.cpp")),
        ]
        .into_iter()
        .map(|(header, source)| functions_that_do_not_throw(header, source))
        .sum();
        let known = |line: &&str| {
            let declared = line.starts_with("    ") && line.contains("fn tchx_") && !line.contains('"');
            declared || line.trim_start().starts_with("#[link_name = \"tchx_")
        };
        let files =
            fs::read_dir("src").unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file());
        let known = files.map(|file| fs::read_to_string(file).unwrap().lines().filter(known).count());
        assert_eq!(declared, known.sum::<usize>(), "as many as Rust knows");
    }

    /// How many functions `header` declares; none of them throws in `source`.
    fn functions_that_do_not_throw(header: &str, source: &str) -> usize {
        let mut functions = 0;
        for declaration in header.split(';') {
            let declares =
                |line: &&str| !line.starts_with("//") && line.contains(" tchx_") && line.contains('(');
            let Some(line) = declaration.lines().find(declares) else { continue };
            let signature = line.split_once('(').map_or(line, |(signature, _)| signature);
            functions += 1;
            if signature.starts_with("tchx_error ") {
                let defined = source.split_once(&format!("{signature}(")).map_or("", |(_, rest)| rest);
                let body = defined.split_once('{').map_or("", |(_, body)| body.trim_start());
                assert!(body.starts_with("return guarded("), "{signature} may throw");
            } else {
                assert!(declaration.ends_with(" TCHX_NOEXCEPT"), "{signature} may throw");
            }
        }
        functions
    }
}
