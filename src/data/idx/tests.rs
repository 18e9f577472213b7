use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;

/// Three images of 2 x 5 pixels, as an IDX file.
fn images() -> Vec<u8> {
    let mut file = vec![0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 5];
    file.extend((0..30).map(|i| i * 7 % 31));
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::best());
    zipped.write_all(bytes).unwrap();
    zipped.finish().unwrap()
}

fn read_bytes(bytes: &[u8], kind: Kind) -> std::result::Result<Idx, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let read = read(file.path(), kind);
    read.map_err(|e| {
        let message = e.to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    })
}

#[test]
fn reads_gzipped_and_plain_alike() {
    let file = images();
    let plain = read_bytes(&file, Kind::Images).unwrap();
    assert_eq!(plain.shape, [3, 2, 5]);
    assert_eq!(plain.data, file[16..]);
    assert_eq!(plain.sha256(), format!("{:064x}", Hex(&Sha256::digest(&file))));
    assert_eq!(read_bytes(&gzip(&file), Kind::Images).unwrap(), plain);

    let labels = read_bytes(&[0, 0, 8, 1, 0, 0, 0, 2, 9, 4], Kind::Labels).unwrap();
    assert_eq!((labels.shape, labels.data), (vec![2], vec![9, 4]));
}

/// Bytes that print as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Zipped or not, a wrong format is called by its name.
#[test]
fn refuses_other_formats_and_sizes() {
    let file = images();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = file.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let mut longer = file.clone();
    longer.push(0);
    let cases: [(&str, Vec<u8>, Kind, &str); 9] = [
        (
            "labels wanted",
            file.clone(),
            Kind::Labels,
            "expected the magic number 0x00000801, got 0x00000803, which means images",
        ),
        ("floats", with(2, &[13]), Kind::Images, "expected the magic number 0x00000803, got 0x00000d03"),
        ("a web page", b"<!DOCTYPE html>".to_vec(), Kind::Images, "got 0x3c21444f"),
        ("nothing", Vec::new(), Kind::Images, "expected 16 bytes, got 0"),
        ("a header cut off", file[..15].to_vec(), Kind::Images, "expected 16 bytes, got 15"),
        (
            "a byte less",
            file[..45].to_vec(),
            Kind::Images,
            "promises 3 x 2 x 5 = 30 bytes, but only 29 follow",
        ),
        ("a byte more", longer, Kind::Images, "promises 3 x 2 x 5 = 30 bytes, but more follow"),
        (
            "a product that overflows",
            with(4, &[255; 12]),
            Kind::Images,
            "4294967295 x 4294967295 x 4294967295, more than 1073741824",
        ),
        (
            "a byte over the limit",
            vec![0, 0, 8, 1, 64, 0, 0, 1],
            Kind::Labels,
            "promises 1073741825, more than 1073741824",
        ),
    ];
    for (case, bytes, kind, expected) in cases {
        for bytes in [bytes.clone(), gzip(&bytes)] {
            let message = read_bytes(&bytes, kind).expect_err(case);
            assert!(message.contains(expected), "{case}: {message}");
        }
    }
    let message = read(Path::new("no/such/file"), Kind::Images).unwrap_err().to_string();
    assert!(message.starts_with("cannot be read: "), "{message}");
}

/// As Python's `gzip`: zeros may follow a member, and nothing else but another member.
#[test]
fn zeros_may_follow_gzip_data() {
    let file = images();
    let plain = read_bytes(&file, Kind::Images).unwrap();
    let (first, last) = (gzip(&file[..20]), gzip(&file[20..]));
    // More than a reader has in its buffer, too.
    for zeros in [1, 8, 512, 300_000] {
        let zeros = vec![0; zeros];
        for padded in [[&gzip(&file), &zeros[..]].concat(), [&first, &zeros[..], &last, &zeros].concat()] {
            assert_eq!(read_bytes(&padded, Kind::Images).unwrap(), plain, "{} zeros", zeros.len());
        }
    }
    for garbage in [&b"abc"[..], b"\0\0\0x", b"\x1f", b"\x1f\x8b", b"\0\x1f\x8b\x08"] {
        let message = read_bytes(&[&gzip(&file), garbage].concat(), Kind::Images).unwrap_err();
        assert!(message.contains("the gzip data"), "{garbage:?}: {message}");
    }
}

/// No cut passes, and no flipped bit but the few that pad the last byte; and the message says that it
/// is the gzip data that are damaged, even if what comes out of them looks like a wrong format first.
#[test]
fn refuses_any_damage_to_gzip_data() {
    const GZIP_HEADER: usize = 10;
    let sound = gzip(&images());
    for length in GZIP_HEADER..sound.len() {
        let message = read_bytes(&sound[..length], Kind::Images).expect_err("cut");
        assert!(message.contains("the file is truncated"), "cut to {length}: {message}");
    }
    let mut padding = 0;
    for bit in GZIP_HEADER * 8..sound.len() * 8 {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match read_bytes(&flipped, Kind::Images) {
            Ok(idx) => {
                assert_eq!(idx.data, images()[16..], "bit {bit} flipped");
                padding += 1;
            }
            Err(message) => assert!(message.contains("the gzip data"), "bit {bit} flipped: {message}"),
        }
    }
    assert!(padding < 8, "{padding} flipped bits pass");
}
