use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};

use tempfile::TempDir;

use super::super::fetch::tests::{Reply, nobody, origins, serve, tar_gz};
use super::*;

/// Six files of so many images: more than are read at a time, and not a multiple of it.
const FEW: usize = 33;

/// Every byte tells where it stands; labels from 0 to 9.
fn little() -> [Vec<u8>; 6] {
    std::array::from_fn(|file| {
        let record = |image| {
            let byte = move |at| (at % 251 + at / 1024 * 3 + image * 7 + file * 11) as u8;
            std::iter::once(((image + file) % 10) as u8).chain((0..IMAGE).map(byte))
        };
        (0..FEW).flat_map(record).collect()
    })
}

/// The batches that name these files as the published ones.
fn batches(files: &[Vec<u8>; 6]) -> Batches {
    let mut files = files.iter();
    let of_file = |(name, _)| {
        let hash = checksum::hex(Sha256::new_with_prefix(files.next().unwrap()));
        (name, &*hash.leak())
    };
    Batches { images: FEW, files: PUBLISHED.files.map(of_file) }
}

fn write(folder: &Path, files: &[Vec<u8>; 6]) {
    fs::create_dir_all(folder).unwrap();
    for ((name, _), file) in PUBLISHED.files.iter().zip(files) {
        fs::write(folder.join(name), file).unwrap();
    }
}

/// A cache in `dir`; what is not in it is in the archive, which the `server` has.
fn places(dir: &Path, server: &str, archive: &[u8]) -> Sources {
    let sha256 = checksum::hex(Sha256::new_with_prefix(archive));
    let archive = Archive { url: format!("{server}cifar.tar.gz"), sha256, folder: FOLDER };
    let mut origins = origins([]);
    origins.tried.push(Origin::Archive(archive));
    Sources { cache: Some(dir.join("cache")), system: None, origins }
}

fn archive(files: &[Vec<u8>; 6]) -> Vec<u8> {
    let members = PUBLISHED.files.iter().zip(files);
    let members: Vec<_> = members.map(|((name, _), file)| (format!("{FOLDER}/{name}"), file)).collect();
    tar_gz(members.iter().map(|(path, file)| (path.as_str(), file.as_slice())))
}

#[test]
fn planes_become_pixels() {
    let dir = TempDir::new().unwrap();
    let files = little();
    write(dir.path(), &files);
    let data = read(&named(dir.path(), &batches(&files)).unwrap(), &batches(&files)).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (5 * FEW, FEW));
    for (file, bytes) in files.iter().enumerate() {
        let (images, first) = if file < 5 { (&data.train, file * FEW) } else { (&data.test, 0) };
        for (i, record) in bytes.chunks(RECORD).enumerate() {
            let image = images.image(first + i);
            assert_eq!((image.height(), image.width()), (32, 32));
            for (at, &value) in image.pixels().iter().enumerate() {
                let (channel, column, row) = (at % 3, at / 3 % 32, at / 96);
                assert_eq!(value, record[1 + channel * 1024 + row * 32 + column], "{file} {i} {at}");
            }
            assert_eq!(images.labels[first + i], record[0]);
        }
    }
}

#[test]
fn a_named_folder_or_its_parent_may_hold_other_data() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join(FOLDER);
    let mut files = little();
    write(&folder, &files);
    let published = batches(&files);
    for named in [dir.path(), &folder].map(|dir| named(dir, &published).unwrap()) {
        let data = read(&named, &published).unwrap();
        assert_eq!((data.folder(), data.is_published()), (folder.as_path(), true));
    }
    files[3][RECORD] ^= 1;
    write(&folder, &files);
    assert!(!read(&named(dir.path(), &published).unwrap(), &published).unwrap().is_published());

    for (name, _) in [PUBLISHED.files[1], PUBLISHED.files[5]] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let error = Cifar10::load(Some(dir.path()), false).unwrap_err();
    let expected = format!("no CIFAR-10 in {}: missing data_batch_2.bin, test_batch.bin", folder.display());
    assert_eq!(error.to_string(), expected);
    assert!(error.remedy().starts_with("put these files of the binary version"), "{}", error.remedy());

    // Others of the publisher's files are called by their names.
    for (name, words) in [("cifar-10-batches-py", "Python version"), ("cifar-10-binary.tar.gz", "unpack")] {
        fs::create_dir(dir.path().join(name)).unwrap();
        let error = Cifar10::load(Some(dir.path()), false).unwrap_err();
        assert!(error.remedy().contains(words), "{}", error.remedy());
    }
}

/// Six black files of the published size, which take no room.
fn black_files(folder: &Path) {
    for (name, _) in PUBLISHED.files {
        File::create(folder.join(name)).unwrap().set_len(30_730_000).unwrap();
    }
}

#[test]
fn files_of_the_published_size_are_the_whole_set() {
    let dir = TempDir::new().unwrap();
    black_files(dir.path());
    let data = Cifar10::load(Some(dir.path()), false).unwrap();
    assert!(!data.is_published());
    assert_eq!((data.train, data.test), (black(50_000), black(10_000)));
}

/// Each in its own words, with the file and what to do about it.
#[test]
fn broken_files_are_refused() {
    /// The message, the file that it names, and what breaks that file.
    type Case = (&'static str, usize, fn(File));
    let cases: [Case; 5] = [
        ("truncated: expected 30730000 bytes, 10000 images of 3073, got 30729999", 4, |file| {
            file.set_len(30_729_999).unwrap()
        }),
        ("of the wrong size: expected 30730000 bytes, 10000 images of 3073, got 30730001", 0, |file| {
            file.set_len(30_730_001).unwrap()
        }),
        // Nobody reads that much, nor makes room for it.
        ("of the wrong size: expected 30730000 bytes, 10000 images of 3073, got 1099511627776", 5, |file| {
            file.set_len(1 << 40).unwrap()
        }),
        ("truncated: expected 30730000 bytes, 10000 images of 3073, got 0", 2, |file| {
            file.set_len(0).unwrap()
        }),
        ("expected labels from 0 to 9, got 10 for image 9999", 5, |file| {
            file.write_all_at(&[10], 9999 * 3073).unwrap()
        }),
    ];
    for (expected, at, damage) in cases {
        let dir = TempDir::new().unwrap();
        black_files(dir.path());
        let path = dir.path().join(PUBLISHED.files[at].0);
        damage(File::options().write(true).open(&path).unwrap());
        let error = Cifar10::load(Some(dir.path()), false).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
        assert_eq!(
            (error.exit_code(), error.remedy()),
            (1, "replace it by a sound copy, or leave out --data-dir to have the data found or fetched")
        );
    }
}

#[test]
fn fetched_once_then_cached() {
    let dir = TempDir::new().unwrap();
    let files = little();
    let archive = archive(&files);
    let server = serve([("cifar.tar.gz", Reply::Body(archive.clone()))]);
    let fetched = load(&places(dir.path(), &server, &archive), &batches(&files), true).unwrap();
    assert!(fetched.is_published());
    let cache = dir.path().join("cache");
    assert_eq!(fetched.folder(), cache);
    let mut names: Vec<_> = fs::read_dir(&cache).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names[0], ".lock");
    assert_eq!(names[1..], PUBLISHED.files.map(|(name, _)| name));

    // Nothing is written any more: a cache may be read-only.
    fs::remove_file(cache.join(".lock")).unwrap();
    fs::set_permissions(&cache, PermissionsExt::from_mode(0o555)).unwrap();
    let cached = load(&places(dir.path(), &nobody(), &archive), &batches(&files), false).unwrap();
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 6);
    fs::set_permissions(&cache, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!((cached.train, cached.test), (fetched.train, fetched.test));
}

/// Sound data, but not the published ones: neither fetched nor taken from the cache.
#[test]
fn only_published_files_come_unnamed() {
    let files = little();
    let mut other = little();
    other[2][RECORD - 1] ^= 1;

    let dir = TempDir::new().unwrap();
    let archive = archive(&other);
    let server = serve([("cifar.tar.gz", Reply::Body(archive.clone()))]);
    let error = load(&places(dir.path(), &server, &archive), &batches(&files), false).unwrap_err();
    let expected = format!(
        "CIFAR-10 is not on this machine and could not be fetched: {server}cifar.tar.gz: \
         data_batch_3.bin: not the published file: expected the SHA-256 "
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(!dir.path().join("cache/data_batch_3.bin").exists());

    write(&dir.path().join("cache"), &other);
    let error = load(&places(dir.path(), &nobody(), &archive), &batches(&files), false).unwrap_err();
    let path = dir.path().join("cache/data_batch_3.bin");
    assert!(error.to_string().starts_with(&format!("{}: not the published", path.display())), "{error}");
    assert!(error.remedy().starts_with("delete it"), "{}", error.remedy());
}

#[test]
#[ignore = "downloads 170 MB"]
fn the_published_files() {
    let dir = TempDir::new().unwrap();
    let data = load(&Sources { cache: Some(dir.path().into()), ..sources() }, &PUBLISHED, true).unwrap();
    // The publisher took as many images of each class.
    for (images, of_each) in [(data.train, 5_000), (data.test, 1_000)] {
        for class in 0..LABELS.len() as u8 {
            assert_eq!(images.labels.iter().filter(|&&label| label == class).count(), of_each);
        }
    }
}
