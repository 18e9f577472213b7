//! What a launcher says in the environment: the variables that `torchrun` sets, and PyTorch's `env://` reads.

use std::num::NonZeroU16;
use std::str::FromStr;

use crate::{Error, Result, StoreAddress};

/// What every process of a job must be told.
pub(crate) const NEEDED: [&str; 5] = ["RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"];
/// Whether the launcher serves the store itself; torchrun says `True`.
const AGENT_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";
/// How often the launcher has started the job anew, and how often it would.
const RESTARTS: &str = "TORCHELASTIC_RESTART_COUNT";
const MAX_RESTARTS: &str = "TORCHELASTIC_MAX_RESTARTS";

/// A process's place in a job, as its launcher says.
///
/// ```
/// use tch_c10d::Launch;
///
/// let set = |name: &str| match name {
///     "RANK" | "LOCAL_RANK" => Some("1".to_owned()),
///     "WORLD_SIZE" => Some("2".to_owned()),
///     "MASTER_ADDR" => Some("localhost".to_owned()),
///     "MASTER_PORT" => Some("29500".to_owned()),
///     _ => None,
/// };
/// let launch = Launch::read(set)?.expect("all five are set");
/// assert!(launch.rank == 1 && launch.size == 2 && !launch.store.serve);
/// # Ok::<(), tch_c10d::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its number among all processes, from 0 (`RANK`).
    pub rank: usize,
    /// Its number among those on this machine, from 0: the CUDA device that it takes (`LOCAL_RANK`).
    pub local_rank: usize,
    /// How many processes there are (`WORLD_SIZE`).
    pub size: usize,
    /// How often torchrun has started the job anew, after it failed (`TORCHELASTIC_RESTART_COUNT`).
    pub restarts: u32,
    /// How often torchrun would (`TORCHELASTIC_MAX_RESTARTS`).
    pub max_restarts: u32,
    /// Where the processes meet (`MASTER_ADDR`, `MASTER_PORT`). Rank 0 serves the store, unless torchrun does.
    pub store: StoreAddress,
}

impl Launch {
    /// Reads this process's environment; `None` where no launcher has set it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_env() -> Result<Option<Self>> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the variables by `get`; `None` where none of the five is set. An empty one counts as not set.
    ///
    /// # Errors
    /// If some of the five are set and others not, or if a value makes no sense.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        // PyTorch takes an empty variable for none.
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let missing: Vec<&str> = NEEDED.into_iter().filter(|name| get(name).is_none()).collect();
        if missing.len() == NEEDED.len() {
            return Ok(None);
        }
        if !missing.is_empty() {
            return Err(Error::MissingVariables(missing));
        }
        let text = |name: &str| get(name).unwrap_or_default();
        let (rank, local_rank) = (number::<usize>(&text, "RANK")?, number(&text, "LOCAL_RANK")?);
        let (size, port) = (number(&text, "WORLD_SIZE")?, number::<NonZeroU16>(&text, "MASTER_PORT")?);
        for (name, rank) in [("RANK", rank), ("LOCAL_RANK", local_rank)] {
            if rank >= size {
                return Err(nonsense(
                    name,
                    rank.to_string(),
                    format!("a number below WORLD_SIZE, which is {size}"),
                ));
            }
        }
        let count = |name| if get(name).is_some() { number(&text, name) } else { Ok(0) };
        let (restarts, max_restarts) = (count(RESTARTS)?, count(MAX_RESTARTS)?);
        let agent_serves = get(AGENT_STORE).as_deref() == Some("True");
        let store = StoreAddress {
            host: text("MASTER_ADDR"),
            port: port.get(),
            serve: rank == 0 && !agent_serves,
            prefix: format!("tch_c10d/attempt_{restarts}"),
        };
        Ok(Some(Self { rank, local_rank, size, restarts, max_restarts, store }))
    }
}

fn number<T: FromStr>(text: &impl Fn(&str) -> String, name: &'static str) -> Result<T> {
    let text = text(name);
    let expected = if name == "MASTER_PORT" { "a port, 1 to 65535" } else { "a number from 0" };
    text.parse().map_err(|_| nonsense(name, text, expected.to_owned()))
}

fn nonsense(variable: &'static str, value: String, expected: String) -> Error {
    Error::BadVariable { variable, value, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As torchrun sets them on the second of two machines with two processes each.
    const TORCHRUN: [(&str, &str); 8] = [
        ("RANK", "3"),
        ("LOCAL_RANK", "1"),
        ("WORLD_SIZE", "4"),
        ("MASTER_ADDR", "host0"),
        ("MASTER_PORT", "29500"),
        ("TORCHELASTIC_USE_AGENT_STORE", "True"),
        ("TORCHELASTIC_RESTART_COUNT", "2"),
        ("TORCHELASTIC_MAX_RESTARTS", "3"),
    ];

    /// What is read after one variable was set to something else.
    fn read(name: &str, value: &str) -> Result<Option<Launch>> {
        Launch::read(|asked| {
            if asked == name {
                return Some(value.to_owned());
            }
            TORCHRUN.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_process_finds_its_place() {
        let launch = read("", "").unwrap().unwrap();
        let store = StoreAddress {
            host: "host0".to_owned(),
            port: 29500,
            serve: false,
            prefix: "tch_c10d/attempt_2".to_owned(),
        };
        assert_eq!(launch, Launch { rank: 3, local_rank: 1, size: 4, restarts: 2, max_restarts: 3, store });
    }

    #[test]
    fn rank_0_serves_the_store_unless_the_launcher_does() {
        assert!(!read("RANK", "0").unwrap().unwrap().store.serve);
        let without_agent = |name: &str| match name {
            "RANK" => Some("0".to_owned()),
            AGENT_STORE | RESTARTS => None,
            _ => TORCHRUN.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()),
        };
        let store = Launch::read(without_agent).unwrap().unwrap().store;
        assert!(store.serve && store.prefix == "tch_c10d/attempt_0", "{store:?}");
        assert!(!read(AGENT_STORE, "False").unwrap().unwrap().store.serve, "rank 3 does not");
    }

    #[test]
    fn nothing_set_is_no_job() {
        assert_eq!(Launch::read(|_| None).unwrap(), None);
        assert_eq!(Launch::read(|name| (name == RESTARTS).then(|| "1".to_owned())).unwrap(), None);
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_named() {
        for name in NEEDED {
            let error = read(name, "").unwrap_err();
            assert_eq!(error, Error::MissingVariables(vec![name]));
            assert!(error.to_string().ends_with(&format!("lacks {name}")), "{error}");
        }
        for (name, value) in [
            ("RANK", "4"),
            ("RANK", "-1"),
            ("LOCAL_RANK", "4"),
            ("WORLD_SIZE", "0"),
            ("WORLD_SIZE", "two"),
            ("MASTER_PORT", "0"),
            ("MASTER_PORT", "65536"),
            ("MASTER_PORT", "-1"),
            ("MASTER_PORT", "http"),
            (RESTARTS, "x"),
        ] {
            let error = read(name, value).unwrap_err();
            let size = if name == "WORLD_SIZE" && value == "0" {
                "RANK is 3".to_owned()
            } else {
                format!("{name} is {value}")
            };
            assert!(error.to_string().contains(&size), "{error}");
        }
    }
}
