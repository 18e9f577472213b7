//! A file as far as it is downloaded, under a name that nobody takes for the whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::job::{Attempt, cannot_write, one_line};

/// `.NAME.part`, which stays until the whole is there; one without a byte vanishes.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Partial {
    /// What there is of the file `name` in `folder`.
    pub fn open(folder: &Path, name: &str) -> Attempt<Self> {
        let path = folder.join(format!(".{name}.part"));
        let open = || {
            let file = File::options().create(true).append(true).open(&path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = open().map_err(|e: std::io::Error| cannot_write(&path, e))?;
        Ok(Self { path, file, len })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn append(&mut self, bytes: &[u8]) -> Attempt {
        self.file.write_all(bytes).map_err(|e| cannot_write(&self.path, e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what is there.
    pub fn restart(&mut self) -> Attempt {
        self.file.set_len(0).map_err(|e| cannot_write(&self.path, e))?;
        self.len = 0;
        Ok(())
    }

    /// The file as one that vanishes when dropped, unless it is kept.
    pub fn whole(self) -> Attempt<TempPath> {
        Ok(TempPath::try_from_path(&self.path).map_err(one_line)?)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.len == 0 {
            // Best effort: an empty file does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the parts in `folder`, which nobody needs any more.
pub(super) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b".") && name.ends_with(b".part") {
            // Best effort: what stays is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}
