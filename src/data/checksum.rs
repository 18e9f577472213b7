//! SHA-256, as `sha256sum` prints it.

use sha2::{Digest, Sha256};

/// The hash of what was taken in, in hexadecimal.
pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says in one line that a file is not the published one, if its hash is not.
pub(super) fn check(expected: &str, got: &str) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("not the published file: expected the SHA-256 {expected} of its contents, got {got}"))
}
