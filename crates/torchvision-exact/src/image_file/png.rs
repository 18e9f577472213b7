//! PNG. The crate `png` does not judge damage as Pillow does: it refuses data with a wrong checksum, and data that end early.

use std::io::{self, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::reason::{Reason, check_size};
use crate::image::{Image, Mode};

/// Bytes before the first chunk.
const SIGNATURE: u64 = 8;

pub(super) fn decode(mut file: impl Read) -> Result<Image, Reason> {
    skip(&mut file, SIGNATURE)?;
    let (header, palette, length) = read_until_data(&mut file)?;
    let (width, height) = (header.width, header.height);
    let samples = header.samples(&palette)?;
    let mut pixels = vec![0; 3 * width * height];
    let mut rows = Rows::new(&mut file, length);
    for &(left, top, across, down) in if header.interlaced { &ADAM7[..] } else { &[(0, 0, 1, 1)] } {
        let columns = width.saturating_sub(left).div_ceil(across);
        if columns == 0 {
            continue;
        }
        let mut row = vec![0; 1 + (columns * samples.bits()).div_ceil(8)];
        let mut above = row.clone();
        for y in (top..height).step_by(down) {
            rows.read(&mut row)?;
            unfilter(&mut row, &above, samples.bits().div_ceil(8))?;
            let line = &mut pixels.as_chunks_mut().0[y * width..][left..width];
            for (x, rgb) in line.iter_mut().step_by(across).enumerate() {
                *rgb = samples.rgb(&row[1..], x);
            }
            std::mem::swap(&mut row, &mut above);
        }
    }
    let left = rows.left;
    check_rest(&mut file, left)?;
    Ok(Image::new(Mode::Rgb, height, width, pixels)?)
}

/// The passes of an interlaced image: its first column and row, and the steps to the next ones.
const ADAM7: [(usize, usize, usize, usize); 7] =
    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

/// A chunk's kind, and the bytes of its content.
type Chunk = ([u8; 4], u64);

/// Where a chunk begins.
fn begin(file: &mut impl Read) -> Result<Chunk, Reason> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes).map_err(|_| "it is cut off")?;
    let [a, b, c, d, kind @ ..] = bytes;
    match kind.iter().all(|&letter| letter.is_ascii_alphanumeric() || letter == b'_') {
        true => Ok((kind, u32::from_be_bytes([a, b, c, d]).into())),
        false => Err("it is damaged: no chunk begins where one ends".into()),
    }
}

/// Whether there were so many bytes to be skipped.
fn skip(file: &mut impl Read, bytes: u64) -> io::Result<bool> {
    Ok(io::copy(&mut file.take(bytes), &mut io::sink())? == bytes)
}

/// Header, palette, and the length of the first chunk of data.
fn read_until_data(file: &mut impl Read) -> Result<(Header, Vec<u8>, u64), Reason> {
    let (mut header, mut palette) = (None, Vec::new());
    loop {
        let (kind, length) = begin(file)?;
        match &kind {
            b"IDAT" => return Ok((header.ok_or("it has no header")?, palette, length)),
            b"IEND" => return Err("it has no image data".into()),
            _ => {}
        }
        let mut content = Vec::new();
        let mut stored = [0; 4];
        file.take(length).read_to_end(&mut content)?;
        file.read_exact(&mut stored).map_err(|_| "it is cut off")?;
        let mut crc = Crc::new();
        crc.update(&kind);
        crc.update(&content);
        if crc.sum() != u32::from_be_bytes(stored) {
            return Err(format!("the checksum of its chunk {} is wrong", kind.escape_ascii()).into());
        }
        match &kind {
            b"IHDR" => header = Some(Header::parse(&content)?),
            b"PLTE" => palette = content,
            _ => {}
        }
    }
}

/// The rest of the file, from `left` bytes of data on: chunks that begin must not be cut off, up to the last one.
fn check_rest(file: &mut impl Read, left: u64) -> Result<(), Reason> {
    skip(file, left)?;
    while skip(file, 4)?
        && let Ok((kind, length)) = begin(file)
        && kind != *b"IEND"
    {
        if !skip(file, length)? {
            return Err("it is cut off".into());
        }
    }
    Ok(())
}

/// The chunk IHDR.
struct Header {
    width: usize,
    height: usize,
    depth: u8,
    color: u8,
    interlaced: bool,
}

impl Header {
    fn parse(content: &[u8]) -> Result<Self, Reason> {
        let &[a, b, c, d, e, f, g, h, depth, color, _, filter, interlace] =
            content.first_chunk().ok_or("its header is too short")?;
        if filter != 0 {
            return Err(format!("its filters are of the unknown kind {filter}").into());
        }
        let [width, height] = [[a, b, c, d], [e, f, g, h]].map(|side| u32::from_be_bytes(side) as usize);
        if width == 0 || height == 0 {
            return Err("it has no pixels".into());
        }
        check_size(width, height)?;
        Ok(Self { width, height, depth, color, interlaced: interlace != 0 })
    }

    fn samples(&self, palette: &[u8]) -> Result<Samples, Reason> {
        let coded = |color: &dyn Fn(usize) -> [u8; 3]| Samples::Coded {
            bits: self.depth.into(),
            colors: Box::new(std::array::from_fn(color)),
        };
        Ok(match (self.color, self.depth) {
            (0, 1 | 2 | 4 | 8) => {
                let step = 255 / ((1 << self.depth) - 1);
                coded(&|gray| [(gray * step) as u8; 3])
            }
            (0, 16) => Samples::LongGray,
            (2, 8) => Samples::Channels { step: 3, rgb: [0, 1, 2] },
            (2, 16) => Samples::Channels { step: 6, rgb: [0, 2, 4] },
            (3, 1 | 2 | 4 | 8) if palette.len() / 3 > 256 => {
                return Err("its palette has more than 256 colours".into());
            }
            // Colours that the palette lacks are black, and a part of one is left out.
            (3, 1 | 2 | 4 | 8) => {
                coded(&|index| palette.as_chunks().0.get(index).copied().unwrap_or_default())
            }
            (4, 8) => Samples::Channels { step: 2, rgb: [0; 3] },
            (4, 16) => Samples::Channels { step: 4, rgb: [0; 3] },
            (6, 8) => Samples::Channels { step: 4, rgb: [0, 1, 2] },
            (6, 16) => Samples::Channels { step: 8, rgb: [0, 2, 4] },
            (color, depth) => return Err(format!("PNG has no colour type {color} of {depth} bits").into()),
        })
    }
}

/// What the bytes of a row mean.
enum Samples {
    /// Each of so many bits stands for a colour.
    Coded { bits: usize, colors: Box<[[u8; 3]; 256]> },
    /// Gray of 16 bits, the higher ones first, which Pillow cuts off at 255.
    LongGray,
    /// Pixels of `step` bytes; `rgb` are those that count, of 16 bits the higher ones.
    Channels { step: usize, rgb: [usize; 3] },
}

impl Samples {
    /// Bits of a pixel.
    fn bits(&self) -> usize {
        match self {
            Self::Coded { bits, .. } => *bits,
            Self::LongGray => 16,
            Self::Channels { step, .. } => 8 * step,
        }
    }

    /// Red, green and blue of a row's pixel.
    fn rgb(&self, row: &[u8], x: usize) -> [u8; 3] {
        match self {
            Self::Coded { bits, colors } => {
                let first = x * bits;
                colors[usize::from(row[first / 8] << (first % 8) >> (8 - bits))]
            }
            Self::LongGray => [if row[2 * x] == 0 { row[2 * x + 1] } else { 255 }; 3],
            Self::Channels { step, rgb } => rgb.map(|i| row[x * step + i]),
        }
    }
}

/// Pillow reads so many bytes of a chunk at once, and sees zlib's checksum only if it comes with the last row.
const BLOCK: u64 = 65536;

/// The rows that the chunks IDAT hold; Pillow does not look at these chunks' checksums.
struct Rows<R> {
    file: R,
    /// Bytes of the chunk that are still in the file.
    left: u64,
    block: Vec<u8>,
    /// Bytes of the block that were inflated.
    taken: usize,
    inflate: Decompress,
    ended: bool,
}

impl<R: Read> Rows<R> {
    fn new(file: R, left: u64) -> Self {
        Self { file, left, block: Vec::new(), taken: 0, inflate: Decompress::new(true), ended: false }
    }

    /// Reads the next row, a byte for its filter first. Rows after the end of complete data are 0.
    fn read(&mut self, row: &mut [u8]) -> Result<(), Reason> {
        if self.ended {
            row.fill(0);
            return Ok(());
        }
        let end = self.inflate.total_out() + row.len() as u64;
        while self.inflate.total_out() < end {
            if self.ended {
                return Err("its image data end within a row".into());
            }
            if self.taken == self.block.len() {
                self.refill()?;
            }
            let (input, before) = (&self.block[self.taken..], self.inflate.total_in());
            let there = row.len() - (end - self.inflate.total_out()) as usize;
            let status = self.inflate.decompress(input, &mut row[there..], FlushDecompress::None);
            self.taken += (self.inflate.total_in() - before) as usize;
            self.ended = status.map_err(|_| "its compressed data are damaged")? == Status::StreamEnd;
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<(), Reason> {
        while self.left == 0 {
            skip(&mut self.file, 4)?;
            let (kind, length) = begin(&mut self.file)?;
            if kind != *b"IDAT" {
                return Err("it has too little image data".into());
            }
            self.left = length;
        }
        self.block.clear();
        self.taken = 0;
        let count = (&mut self.file).take(self.left.min(BLOCK)).read_to_end(&mut self.block)?;
        self.left -= count as u64;
        if count == 0 { Err("it is cut off".into()) } else { Ok(()) }
    }
}

/// Undoes the filter that a row's first byte names: adds to each byte what was guessed from those to the left, above, and
/// above to the left.
fn unfilter(row: &mut [u8], above: &[u8], step: usize) -> Result<(), Reason> {
    fn add(row: &mut [u8], above: &[u8], step: usize, guess: impl Fn(u8, u8, u8) -> u8) {
        for i in 1..row.len() {
            let (left, corner) = if i <= step { (0, 0) } else { (row[i - step], above[i - step]) };
            row[i] = row[i].wrapping_add(guess(left, above[i], corner));
        }
    }
    match row[0] {
        0 => {}
        1 => add(row, above, step, |left, _, _| left),
        2 => add(row, above, step, |_, up, _| up),
        3 => add(row, above, step, |left, up, _| ((u16::from(left) + u16::from(up)) / 2) as u8),
        4 => add(row, above, step, paeth),
        filter => return Err(format!("a row has the unknown filter {filter}").into()),
    }
    Ok(())
}

/// Of three neighbours the one nearest to `left + up - corner`.
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, up, corner].map(i16::from);
    let [to_left, to_up, to_corner] = [b - c, a - c, a + b - 2 * c].map(i16::abs);
    if to_left <= to_up && to_left <= to_corner {
        left
    } else if to_up <= to_corner {
        up
    } else {
        corner
    }
}
