//! The error of a panic names its place, on another thread too, and has a backtrace if the user asks for one.

use std::thread;

use d2l_ch7::{Error, Result, panics};

fn broken_off(f: impl FnOnce() -> Result<()>) -> Error {
    panics::caught(f).unwrap_err()
}

#[test]
fn the_place_of_a_panic_is_kept_on_every_thread() {
    panics::remember();
    let here = |line: u32| format!("its place ({}:{line})", file!());
    let error = broken_off(|| panic!("too {}\nmany", "much"));
    assert_eq!(error.to_string(), "the computation broke off: too much");
    assert!(error.remedy().contains(&here(line!() - 2)), "{}", error.remedy());

    // Two workers panic; the first is joined last.
    let (mut workers, line) = (Vec::new(), line!());
    workers.push(thread::spawn(|| panic!("the first")));
    let first = workers.remove(0);
    assert!(thread::spawn(|| panic!("the second")).join().is_err());
    let error = broken_off(|| first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    assert_eq!(error.to_string(), "the computation broke off: the first");
    assert!(error.remedy().contains(&here(line + 1)), "{}", error.remedy());

    let of_tch =
        "called `Result::unwrap()` on an `Err` value: Torch(\"it isn\\'t \\\"so\\\"\\nException raised\")";
    assert_eq!(broken_off(|| panic!("{of_tch}")).to_string(), "the computation broke off: it isn't \"so\"");
    let error = broken_off(|| panic!("f does not have a deterministic implementation"));
    assert!(error.remedy().starts_with("leave out --deterministic"), "{}", error.remedy());
}
