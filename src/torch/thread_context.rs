//! What libtorch keeps for each thread by itself, and what a new thread must therefore be told.

use super::ffi;

/// What a thread that works for this one takes over: whether gradients are recorded, and the number of threads of
/// libtorch's kernels, which decides bits.
#[derive(Clone, Copy, Debug)]
pub struct ThreadContext {
    grad_enabled: bool,
}

impl ThreadContext {
    /// The context of the calling thread.
    pub fn here() -> Self {
        Self { grad_enabled: ffi::d2l_grad_enabled() }
    }

    /// Runs `f` in this context; called first in a new thread.
    pub fn enter<T>(self, f: impl FnOnce() -> T) -> T {
        ffi::d2l_init_threads();
        let _guard = (!self.grad_enabled).then(tch::no_grad_guard);
        f()
    }
}
