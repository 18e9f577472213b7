//! The versions that the bits belong to. `xtask/tests/pinned.rs` checks that everything else names the same ones.

/// PyTorch, and the libtorch in it: the version that the `tch` of `Cargo.toml` binds.
pub const TORCH: &str = "2.11.0";
/// The torchvision for that PyTorch.
pub const TORCHVISION: &str = "0.26.0";
/// The book's package.
pub const D2L: &str = "0.17.6";
