//! Before the first step: every rank was started with the same configuration, libtorch and data.

use serde_json::{Map, Value};

use super::Distributed;
use crate::{Error, Result};

/// What all ranks must have alike, by name.
pub type Facts = Map<String, Value>;

impl Distributed<'_> {
    /// Compares `facts` with every other rank's.
    ///
    /// # Errors
    /// The same on every rank: which is the first rank whose facts are not rank 0's, and what differs; or which did not
    /// come in time.
    pub fn agree(&self, facts: &Facts) -> Result<()> {
        let key = |rank: usize| format!("facts/{rank}");
        let text = serde_json::to_vec(facts).expect("JSON serializes");
        self.meeting.store.set(&key(self.rank()), &text)?;
        let facts_of = |rank: usize| -> Result<Facts> {
            let text = self.meeting.store.get(&key(rank), self.meeting.timeout)?;
            Ok(serde_json::from_slice(&text).unwrap_or_default())
        };
        let first = facts_of(0)?;
        for rank in 1..self.size() {
            if let Some(difference) = difference(&first, &facts_of(rank)?) {
                return Err(Error::usage(
                    format!("rank {rank} is not like rank 0: {difference}"),
                    "start every rank with the same options, program, libtorch and data; one that does not see the directory \
                     of --resume needs the run's options too",
                ));
            }
        }
        Ok(())
    }
}

/// The first fact that differs.
fn difference(first: &Facts, other: &Facts) -> Option<String> {
    let keys = first.keys().chain(other.keys().filter(|key| !first.contains_key(*key)));
    keys.map(|key| (key, [first, other].map(|facts| facts.get(key).unwrap_or(&Value::Null))))
        .find(|(_, [first, other])| first != other)
        .map(|(key, [first, other])| format!("its {key} is {other}, rank 0's is {first}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_whichever_side_lacks_it() {
        let facts = |value: Value| value.as_object().unwrap().clone();
        let [a, b] = [json!({"lr": 1.0, "seed": 0}), json!({"lr": 1.0, "seed": 1})].map(facts);
        assert_eq!(difference(&a, &a), None);
        assert_eq!(difference(&a, &b).unwrap(), "its seed is 1, rank 0's is 0");
        let less = facts(json!({"seed": 0}));
        assert_eq!(difference(&a, &less).unwrap(), "its lr is null, rank 0's is 1.0");
        assert_eq!(difference(&less, &a).unwrap(), "its lr is 1.0, rank 0's is null");
    }
}
