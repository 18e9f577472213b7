//! How long OpenMP's idle threads spin before they sleep.
//!
//! libgomp's threads wait for each other several times a layer, and spin for milliseconds while they do. Where another
//! program keeps a core busy, they spin through its time slices, and an epoch takes 20 to 60 times as long, in Python too. Threads
//! that soon go to sleep leave the core to whom they wait for. No bit depends on it.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How often a thread looks before it sleeps: tens of microseconds. `.cargo/config.toml` gives programs that cargo starts the same.
/// Measured on two cores of an AMD EPYC (`book`, `dropout`; both variants): next to a busy program an epoch takes 2.4 to 2.9 times as
/// long as alone, and alone 0.99 to 1.05 times as long as by libgomp's default. More spins cost more there and gain little here.
const SPINS: &str = "2500";

const SPIN_COUNT: &str = "GOMP_SPINCOUNT";
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Starts the process anew with a short spin count, unless it has one or its user chose how threads wait. libgomp reads its
/// environment when it is loaded, before `main`. Where starting anew fails, the process goes on as it is.
pub fn spin_briefly() {
    let Some(change) = change(env::var_os(SPIN_COUNT).as_deref(), env::var_os(WAIT_POLICY).as_deref()) else {
        return;
    };
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut anew = Command::new(&program);
    anew.arg0(arguments.next().unwrap_or(program.into())).args(arguments);
    match change {
        Change::Set => anew.env(SPIN_COUNT, SPINS),
        Change::Unset => anew.env_remove(SPIN_COUNT),
    };
    // It comes back only if it failed.
    let _ = anew.exec();
}

/// What the process needs to do about [`SPIN_COUNT`].
#[derive(Debug, PartialEq)]
enum Change {
    Set,
    Unset,
}

fn change(count: Option<&OsStr>, policy: Option<&OsStr>) -> Option<Change> {
    match (count, policy) {
        (None, None) => Some(Change::Set),
        // Cargo's configuration sets the count whatever the user's policy is, and the count would win.
        (Some(count), Some(_)) if count == SPINS => Some(Change::Unset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_chose_stays() {
        let change =
            |count: Option<&str>, policy: Option<&str>| change(count.map(OsStr::new), policy.map(OsStr::new));
        assert_eq!(change(None, None), Some(Change::Set));
        assert_eq!(change(Some("7"), None), None);
        assert_eq!(change(None, Some("active")), None);
        assert_eq!(change(Some("7"), Some("active")), None);
        assert_eq!(change(Some(SPINS), Some("active")), Some(Change::Unset));
        // After the new start.
        assert_eq!(change(Some(SPINS), None), None);
    }

    #[test]
    fn cargo_sets_the_same_count() {
        let cargo = include_str!("../.cargo/config.toml");
        assert!(cargo.contains(&format!("{SPIN_COUNT} = \"{SPINS}\"\n")), "{cargo}");
    }
}
