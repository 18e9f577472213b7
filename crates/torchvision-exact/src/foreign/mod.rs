//! Calls of libjpeg, and writes into the memory of a libtorch tensor. All `unsafe` of the crate is here; the compiler refuses it
//! elsewhere.

#![allow(unsafe_code)]

#[cfg(feature = "image-files")]
pub(crate) mod jpeg;
#[cfg(feature = "tch")]
pub(crate) mod tensor;
