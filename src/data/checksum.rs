//! SHA-256, as `sha256sum` prints it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

/// The hash of what was taken in, in hexadecimal.
pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of a file's bytes.
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    let mut file = BufReader::with_capacity(1 << 17, File::open(path)?);
    let mut hash = Sha256::new();
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex(hash));
        }
        hash.update(bytes);
        let taken = bytes.len();
        file.consume(taken);
    }
}

/// Says in one line that a file is not the published one, if its hash is not.
pub(super) fn check(expected: &str, got: &str) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("not the published file: expected the SHA-256 {expected} of its contents, got {got}"))
}
