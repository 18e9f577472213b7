//! Files out of an archive that the publisher serves whole.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::http;
use super::job::{Attempt, Failure, Job, MAX_BYTES, cannot_write, one_line};
use crate::data::checksum;
use crate::whole_file;

/// A `.tar.gz` that holds a data set.
pub(crate) struct Archive {
    pub url: String,
    /// Of the archive itself.
    pub sha256: String,
    /// The folder of the files in it.
    pub folder: &'static str,
}

impl Archive {
    /// Downloads the published archive, and takes the wanted files, and nothing else, out of it.
    pub(super) fn fetch(&self, agent: &ureq::Agent, job: &Job) -> Attempt {
        let name = self.url.rsplit('/').next().unwrap_or("archive");
        let check = |path: &Path| checksum::check(&self.sha256, &checksum::of_file(path).map_err(one_line)?);
        let mut archive = http::download(agent, &self.url, name, &check, job)?;
        let unpacked = self.unpack(&archive, job);
        // It is not the archive's fault if the disk is full or the user wants no more: the next run goes on with it.
        archive.disable_cleanup(matches!(unpacked, Err(Failure::End(_))));
        unpacked
    }

    /// Takes the missing files. A member is recognized by its whole name, and `wanted` says where it goes: no path in the archive is followed.
    fn unpack(&self, path: &Path, job: &Job) -> Attempt {
        let cannot = |e: io::Error| format!("cannot be unpacked: {}", one_line(e));
        let file = File::open(path).map_err(one_line)?;
        let length = file.metadata().map_err(one_line)?.len();
        let file = job.bar(Some(length), "unpacking").wrap_read(file);
        let mut archive = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(1 << 17, file)));
        let missing = job.missing();
        let mut buffer = vec![0; 1 << 17];
        for member in archive.entries().map_err(cannot)? {
            let member = member.map_err(cannot)?;
            let Some(name) = missing.iter().find(|name| {
                member.header().entry_type().is_file()
                    && *member.path_bytes() == *format!("{}/{name}", self.folder).as_bytes()
            }) else {
                continue;
            };
            let path = job.into.join(name);
            let mut file = whole_file::temporary(&path).map_err(|e| cannot_write(&path, e))?;
            let mut member = member.take(MAX_BYTES);
            loop {
                job.go_on()?;
                match member.read(&mut buffer).map_err(cannot)? {
                    0 => break,
                    n => file.write_all(&buffer[..n]).map_err(|e| cannot_write(&path, e))?,
                }
            }
            job.keep(name, file.into_temp_path()).map_err(|failure| failure.at(name))?;
        }
        match job.missing() {
            missing if missing.is_empty() => Ok(()),
            missing => Err(format!("has no {} in {}", missing.join(", "), self.folder).into()),
        }
    }
}
