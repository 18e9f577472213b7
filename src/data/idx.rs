//! Reads the IDX format of MNIST and its relatives, gzipped or plain.
//!
//! An IDX file is a magic number (two zero bytes, the element type, the number of dimensions), the
//! dimensions, and the elements in row-major order; integers are big-endian
//! (<http://yann.lecun.com/exdb/mnist/>). Only unsigned bytes are read here, as images or labels.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use super::checksum;

/// The largest payload that is read, in bytes: twice the largest relative of MNIST.
pub const MAX_BYTES: usize = 1 << 30;

/// What a file is expected to hold, by its magic number: 8 is the element type, an unsigned byte, before the number of dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One byte an example: shape (n).
    Labels = 0x0801,
    /// One gray image an example: shape (n, rows, columns).
    Images = 0x0803,
}

impl Kind {
    fn magic(self) -> u32 {
        self as u32
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Labels => "labels",
            Kind::Images => "images",
        }
    }
}

/// The contents of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// (n) for labels, (n, rows, columns) for images.
    pub shape: Vec<usize>,
    /// The elements, row-major; as many as the product of the shape.
    pub data: Vec<u8>,
}

impl Idx {
    /// The SHA-256 of the unzipped file, in hexadecimal: what `gzip -dc FILE | sha256sum` prints.
    ///
    /// It does not depend on how, when or whether the file was zipped.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update((0x0800 | self.shape.len() as u32).to_be_bytes());
        for &size in &self.shape {
            // `read` took each size from four bytes.
            hash.update((size as u32).to_be_bytes());
        }
        hash.update(&self.data);
        checksum::hex(hash)
    }
}

/// What is wrong with a file, in one line: what was expected and what was found.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is damaged, or another file.
    #[error("{0}")]
    Format(String),
}

impl Fault {
    /// The same fault when the bytes came out of a gzip decoder, which reports its own as I/O errors.
    fn of_gzip(self) -> Self {
        match self {
            Fault::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Fault::Format("the gzip data end too early: the file is truncated".to_owned())
            }
            Fault::Io(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                Fault::Format(format!("the gzip data are corrupt ({e})"))
            }
            other => other,
        }
    }
}

/// Reads the images or labels in the file at `path`, unzipping them if they are gzipped.
///
/// # Errors
/// The file cannot be read, its gzip data are truncated or corrupt, its magic number is another, or it
/// holds fewer or more bytes than its header promises, or more than [`MAX_BYTES`].
pub fn read(path: &Path, kind: Kind) -> Result<Idx, Fault> {
    decode(BufReader::with_capacity(1 << 17, File::open(path)?), kind)
}

/// The images or labels of a file with this content.
pub(crate) fn decode(mut file: impl BufRead, kind: Kind) -> Result<Idx, Fault> {
    if !file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return parse(&mut file, kind);
    }
    let mut unzipped = Members(Some(GzDecoder::new(file)));
    parse(&mut unzipped, kind)
        .map_err(|fault| match fault {
            // Damaged gzip data look like a wrong format until their checksum is reached: ask it.
            Fault::Format(_) => match io::copy(&mut unzipped.take(MAX_BYTES as u64), &mut io::sink()) {
                Ok(_) => fault,
                Err(e) => Fault::Io(e),
            },
            io => io,
        })
        .map_err(Fault::of_gzip)
}

/// The contents of one gzip member after the other. As in Python's `gzip`, zeros may follow each: tapes and some servers pad
/// files with them. `None` after the last.
struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            self.0 = self.0.take().map(GzDecoder::into_inner).map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The member behind zeros; `None` at the end of the file.
fn next_member<R: BufRead>(mut file: R) -> io::Result<Option<GzDecoder<R>>> {
    loop {
        let rest = file.fill_buf()?;
        let (length, zeros) = (rest.len(), rest.iter().take_while(|&&byte| byte == 0).count());
        file.consume(zeros);
        if length == 0 {
            return Ok(None);
        }
        if zeros < length {
            return Ok(Some(GzDecoder::new(file)));
        }
    }
}

/// Reads one whole IDX stream: header, elements, and the end.
fn parse(from: &mut impl Read, kind: Kind) -> Result<Idx, Fault> {
    let shape = parse_header(from, kind)?;
    let promised = shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .filter(|&bytes| bytes <= MAX_BYTES)
        .ok_or_else(|| {
            Fault::Format(format!("the header promises {}, more than {MAX_BYTES} bytes", times(&shape)))
        })?;

    // The vector grows with what is read: a forged header allocates nothing. The byte after the last is
    // asked for to see that there is none; it also makes gzip check its own checksum.
    let mut data = Vec::new();
    from.take(promised as u64 + 1).read_to_end(&mut data)?;
    let problem = match data.len() {
        n if n < promised => format!("but only {n} follow"),
        n if n > promised => "but more follow".to_owned(),
        _ => return Ok(Idx { shape, data }),
    };
    Err(Fault::Format(format!("the header promises {} = {promised} bytes, {problem}", times(&shape))))
}

fn parse_header(from: &mut impl Read, kind: Kind) -> Result<Vec<usize>, Fault> {
    let rank = kind.magic() as usize & 0xff;
    let expected = 4 * (1 + rank);
    let mut header = Vec::with_capacity(expected);
    from.take(expected as u64).read_to_end(&mut header)?;
    let mut words = header.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));

    // The magic number first: of a file that is something else, the length says nothing.
    match words.next() {
        Some(magic) if magic != kind.magic() => Err(Fault::Format(format!(
            "not an IDX file of {}: expected the magic number {:#010x}, got {magic:#010x}{}",
            kind.name(),
            kind.magic(),
            [Kind::Labels, Kind::Images]
                .into_iter()
                .find(|other| other.magic() == magic)
                .map(|other| format!(", which means {}", other.name()))
                .unwrap_or_default(),
        ))),
        _ if header.len() < expected => Err(Fault::Format(format!(
            "ends within the IDX header: expected {expected} bytes, got {}",
            header.len()
        ))),
        _ => Ok(words.map(|size| size as usize).collect()),
    }
}

/// `60000 x 28 x 28`
fn times(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

#[cfg(test)]
mod tests;
