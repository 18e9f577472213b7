//! The number of threads of libtorch's kernels, and the settings that libtorch keeps for each thread by itself.

use crate::{Error, Result};

unsafe extern "C" {
    safe fn tchx_grad_enabled() -> bool;
    safe fn tchx_init_threads();
}

/// The most threads that are set: as many as the largest machines have. libgomp ends the process, or hangs, where it cannot start
/// as many as it should.
pub const MOST_THREADS: usize = 1024;

/// Sets the threads of libtorch's CPU kernels; `None` leaves libtorch's default. They belong to the signature: other counts, other
/// bits.
///
/// # Errors
/// For no thread, for more than [`MOST_THREADS`], and for more than `OMP_THREAD_LIMIT`, `OMP_DYNAMIC`
/// or `OMP_MAX_ACTIVE_LEVELS` allows, with which oneDNN would wait for ever.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
    let count = threads.unwrap_or_else(|| usize::try_from(tch::get_num_threads()).unwrap_or(1));
    if threads.is_some() && !(1..=MOST_THREADS).contains(&count) {
        return Err(Error::Threads(count));
    }
    check_thread_limit(count)?;
    if threads.is_some() {
        tch::set_num_threads(count as i32);
    }
    Ok(())
}

/// Refuses more threads than libgomp may start: oneDNN counts on all of them.
fn check_thread_limit(threads: usize) -> Result<()> {
    let variable = |name| std::env::var(name).unwrap_or_default().trim().to_lowercase();
    let limit = variable("OMP_THREAD_LIMIT").parse().ok().filter(|&limit: &usize| limit > 0);
    let (name, most) = if let Some(limit) = limit.filter(|&limit| limit < threads) {
        ("OMP_THREAD_LIMIT", limit)
    } else if variable("OMP_DYNAMIC") == "true" {
        ("OMP_DYNAMIC", 1)
    } else if variable("OMP_MAX_ACTIVE_LEVELS") == "0" {
        ("OMP_MAX_ACTIVE_LEVELS", 1)
    } else {
        return Ok(());
    };
    if threads <= most {
        return Ok(());
    }
    Err(Error::ThreadLimit { variable: name, value: variable(name), threads, most })
}

/// What a thread that works for this one takes over: whether gradients are recorded, and the number of threads of
/// libtorch's kernels, which decides bits.
#[derive(Clone, Copy, Debug)]
pub struct ThreadContext {
    grad_enabled: bool,
}

impl ThreadContext {
    /// The context of the calling thread.
    pub fn here() -> Self {
        Self { grad_enabled: tchx_grad_enabled() }
    }

    /// Runs `f` in this context; called first in a new thread.
    pub fn enter<T>(self, f: impl FnOnce() -> T) -> T {
        tchx_init_threads();
        let _guard = (!self.grad_enabled).then(tch::no_grad_guard);
        f()
    }
}
