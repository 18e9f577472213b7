//! Panics (libtorch is out of memory, or a bug) as errors for users, with what a report of the bug needs.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// A panic on any thread.
struct Seen {
    words: String,
    /// File and line.
    place: String,
    /// `None` unless `RUST_BACKTRACE` asks for it.
    backtrace: Option<String>,
}

/// The panics of the process that [`caught`] has not taken yet: nothing else keeps a worker's place until then.
static SEEN: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

/// From now on, panics print nothing and are remembered for [`caught`].
pub fn remember() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = captured.then(|| backtrace.to_string());
        let seen = Seen { words: words(info.payload()), place, backtrace };
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }));
}

/// Runs `f`; a panic, also one of another thread that is passed on, becomes an error. So does an error of
/// [`tch_c10d`] that a forward pass could not return.
///
/// # Errors
/// The error of `f`; or the panic's words, with a request to report its place.
pub fn caught<T, E: From<Error>>(f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    panic::catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let payload = match payload.downcast::<tch_c10d::Error>() {
            Ok(error) => return Err(Error::from(*error).into()),
            Err(payload) => payload,
        };
        let words = words(payload.as_ref());
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let own = seen.iter().rposition(|seen| seen.words == words).map(|i| seen.swap_remove(i));
        let (place, backtrace) = own.map_or_else(Default::default, |own| (own.place, own.backtrace));
        let error = Error::failed(format!("the computation broke off: {words}"), remedy(&words, &place));
        Err(error.with_backtrace(backtrace).into())
    })
}

/// What to do about a panic.
fn remedy(words: &str, place: &str) -> String {
    if words.contains("does not have a deterministic implementation") {
        return "leave out --deterministic: the operation named has no deterministic kernel on this device"
            .to_owned();
    }
    format!(
        "if memory ran out, choose a smaller --batch-size; else please report this, with its place ({place}) and what \
         RUST_BACKTRACE=1 adds"
    )
}

/// The message of a panic, in one line.
pub fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    // `tch` unwraps an error that prints as `Torch("message\nbacktrace")`, with the text escaped.
    let Some((_, message)) = text.split_once("Torch(\"") else {
        return text.lines().next().unwrap_or_default().to_owned();
    };
    let line = message.split("\\n").next().unwrap_or(message);
    line.trim_end_matches("\")").replace("\\\"", "\"").replace("\\'", "'")
}
