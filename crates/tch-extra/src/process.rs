//! Settings and the end of the whole process, by way of the C library.

unsafe extern "C" {
    /// Lets the process keep the memory that a training step frees, for the next step: by default, glibc gives much of
    /// it back to the system, and every step pays for getting it again (on LeNet's hand-written batch norm, a tenth of
    /// the step). Call it once, early. Elsewhere than on glibc it does nothing.
    #[link_name = "tchx_keep_freed_memory"]
    pub safe fn keep_freed_memory();

    /// From now on, writing a file larger than the process may (`ulimit -f`) is an error like a full disk. By default it kills
    /// the process, whatever it had to say or to finish. Call it once, early.
    #[link_name = "tchx_ignore_file_size_signal"]
    pub safe fn file_limits_are_errors();

    /// Whether the process ignores the signal.
    #[link_name = "tchx_signal_is_ignored"]
    pub safe fn is_ignored(signal: i32) -> bool;

    /// Ends the process, whatever its other threads are doing: `std::process::exit` first takes libtorch apart, and a thread that
    /// computes meanwhile meets errors, or worse.
    #[link_name = "tchx_exit_at_once"]
    pub safe fn exit_at_once(code: i32) -> !;
}
