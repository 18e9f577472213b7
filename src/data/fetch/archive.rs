//! Files out of an archive that the publisher serves whole.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::{Attempt, MAX_BYTES, Wanted, bar, one_line, part};
use crate::data::checksum;

/// A `.tar.gz` that holds a data set.
pub(crate) struct Archive {
    pub url: String,
    /// Of the archive itself.
    pub sha256: String,
    /// The folder of the files in it.
    pub folder: &'static str,
}

impl Archive {
    /// Takes the wanted files, and nothing else, out of the archive at `path`, if it is the published one.
    pub(super) fn unpack(&self, path: &Path, wanted: &Wanted, into: &Path, progress: bool) -> Attempt {
        checksum::check(&self.sha256, &checksum::of_file(path).map_err(one_line)?)?;
        self.keep_members(path, wanted, into, progress)?;
        match (wanted.missing)(into) {
            missing if missing.is_empty() => Ok(()),
            missing => Err(format!("has no {} in {}", missing.join(", "), self.folder)),
        }
    }

    /// A member is known by its whole name and gets its place from `wanted`, so no path in the archive leads anywhere.
    fn keep_members(&self, path: &Path, wanted: &Wanted, into: &Path, progress: bool) -> Attempt {
        let cannot = |e: io::Error| format!("cannot be unpacked: {}", one_line(e));
        let file = File::open(path).map_err(one_line)?;
        let length = file.metadata().map_err(one_line)?.len();
        let file = bar(progress, Some(length), "unpacking").wrap_read(file);
        let mut archive = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(1 << 17, file)));
        let missing = (wanted.missing)(into);
        for member in archive.entries().map_err(cannot)? {
            let member = member.map_err(cannot)?;
            let Some(name) = missing.iter().find(|name| {
                member.header().entry_type().is_file()
                    && *member.path_bytes() == *format!("{}/{name}", self.folder).as_bytes()
            }) else {
                continue;
            };
            let mut part = part(into)?;
            io::copy(&mut member.take(MAX_BYTES), &mut part).map_err(cannot)?;
            wanted.keep(name, part.into_temp_path(), into).map_err(|reason| format!("{name}: {reason}"))?;
        }
        Ok(())
    }
}
