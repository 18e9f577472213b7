//! Files that appear under their name whole or not at all, also when the power fails, as far as the file system
//! allows: written under another name in the same folder, flushed, synced, renamed, and the folder synced.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempDir, TempPath};

use crate::Error;

/// What the names of unfinished files begin with.
const UNFINISHED: &str = ".tmp-";

/// Replaces the file at `path` by what `write` writes. Readers see the old file or the new one, never a part; on an error
/// the old one stays. The folder is made if need be.
pub(crate) fn write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let temp = temporary(path)?;
    let mut file = BufWriter::new(temp.as_file());
    write(&mut file).and_then(|()| file.flush())?;
    drop(file);
    keep(temp.into_temp_path(), path)
}

/// As [`write`](write()), for libraries that want the path of the file to write: `save` gets that of a temporary file
/// with the same extension.
pub(crate) fn save<E: From<io::Error>>(
    path: &Path,
    save: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let temp = temporary(path)?.into_temp_path();
    save(&temp)?;
    Ok(keep(temp, path)?)
}

/// A temporary file in the folder of `path`, which is made: a rename is atomic only within a file system.
pub(crate) fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let (folder, name) = match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => (or_here(folder), name),
        _ => return Err(io::ErrorKind::InvalidFilename.into()),
    };
    make_folder(folder)?;
    let mut suffix = OsString::from("-");
    suffix.push(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).suffix(&suffix);
    // Temporary files are private by default; this one becomes a file like any other, subject to the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// A temporary folder in `folder`, which vanishes when dropped.
pub(crate) fn folder_in(folder: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder)
}

/// Gives the temporary file, which is in the folder of `path`, its name, after its content has reached the disk.
pub(crate) fn keep(temp: TempPath, path: &Path) -> io::Result<()> {
    // Opened anew: a library that was handed the path may have replaced the file behind our handle.
    File::open(&temp)?.sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    path.parent().map_or(Ok(()), |folder| sync_folder(or_here(folder)))
}

/// Removes what killed processes left unfinished in `folder`, as far as it can; to be called only when no other process
/// writes there.
pub(crate) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_unfinished(&entry) {
            // Best effort: what stays is in nobody's way.
            let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
        }
    }
}

/// Whether the folder can be read, and holds nothing but what [`sweep`] would remove.
pub(crate) fn is_empty_but_for_unfinished(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|e| is_unfinished(&e))))
}

fn is_unfinished(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes())
}

/// Makes the folder and its parents, if they are missing, so that they outlast a power failure.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let missing = missing(folder);
    fs::create_dir_all(folder)?;
    sync_parents(&missing)
}

/// Those of `folder` and its parents that are not there, the innermost first.
pub(crate) fn missing(folder: &Path) -> Vec<&Path> {
    folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect()
}

/// Makes the entries of new folders last.
pub(crate) fn sync_parents(made: &[&Path]) -> io::Result<()> {
    made.iter().filter_map(|folder| folder.parent()).try_for_each(|parent| sync_folder(or_here(parent)))
}

/// Makes the names in the folder last, where the system can: a rename may otherwise be undone by a power failure.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems sync no folders, and one may write in a folder that one may not read.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The parent of `name` is "", which the system does not know.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// The file at `path` cannot be written, for this reason.
pub(crate) fn cannot_write(path: &Path, reason: impl Display) -> Error {
    Error::failed(
        format!("cannot write {}: {reason}", path.display()),
        "make sure that the folder is still there, that you may write to it, and that the disk is not full",
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What is in the folder, sorted.
    pub(crate) fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, |file| file.write_all(b"old")).unwrap();

        let failed = write(&path, |file| {
            file.write_all(&[b'x'; 100_000])?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");

        let mut reader = File::open(&path).unwrap();
        write(&path, |file| {
            file.write_all(b"new")?;
            file.flush()?;
            assert_eq!(fs::read_to_string(&path).unwrap(), "old", "not before it is whole");
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "old", "who is reading reads on");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_file_is_whole_even_from_a_library_that_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/a.safetensors");
        let replace = |text: &str, result: io::Result<()>| {
            save(&path, |temp| {
                assert_eq!(temp.extension(), path.extension());
                fs::remove_file(temp).unwrap();
                fs::write(temp, text).unwrap();
                result
            })
        };
        replace("weights", Ok(())).unwrap();
        replace("half", Err(io::Error::other("broke off"))).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "weights");
        assert_eq!(names(path.parent().unwrap()), ["a.safetensors"]);
    }

    /// What a killed process leaves has a name that nobody takes for a file of ours, and can be swept away.
    #[test]
    fn unfinished_files_are_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "a").unwrap();
        std::mem::forget(temporary(&folder.path().join("a")).unwrap());
        let left = folder_in(folder.path()).unwrap().keep();
        fs::write(left.join("b"), "b").unwrap();
        assert_eq!(names(folder.path()).len(), 3);
        sweep(folder.path());
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_path_below_a_file_is_an_error() {
        let file = NamedTempFile::new().unwrap();
        for path in [file.path().join("a"), file.path().join("a/b"), "/".into()] {
            write(&path, |_| Ok(())).unwrap_err();
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_have_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        write(&path("a"), |file| file.write_all(b"a")).unwrap();
        fs::write(path("b"), "b").unwrap();
        let mode = |name| fs::metadata(path(name)).unwrap().permissions().mode();
        assert_eq!(mode("a"), mode("b"));
    }
}
