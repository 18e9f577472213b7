//! Image files: the pixels are Pillow's, and files that Pillow refuses are refused. The fixed files and pixels come from
//! `make_references.image_files`:
//!
//! ```python
//! try:
//!     pixels = np.array(Image.open(file).convert("RGB"))  # (height, width, 3), uint8
//! except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
//!     pixels = None
//! ```

mod common;

use common::Stored;
use png::{BitDepth, ColorType, Encoder};
use torchvision_exact::image::Image;

/// How a PNG file begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

#[test]
fn files_that_pillow_reads_have_its_pixels_and_others_are_refused() {
    let stored = Stored::open("image_files");
    let (mut read, mut refused) = (0, 0);
    for (name, file) in stored.0.iter().filter_map(|(name, file)| Some((name.strip_suffix(".file")?, file))) {
        match (stored.0.get(&format!("{name}.pixels")), Image::decode(&file.bytes)) {
            (Some(expected), Ok(image)) => {
                assert!(expected.images()[0] == image, "{name}: other pixels");
                read += 1;
            }
            (None, Err(_)) => refused += 1,
            (Some(_), Err(error)) => panic!("{name}: Pillow reads it: {error}"),
            (None, Ok(_)) => panic!("{name}: Pillow refuses it"),
        }
    }
    assert!(read > 70 && refused > 40, "{read} files read, {refused} refused");
}

fn encoded(width: u32, (color, depth): (ColorType, BitDepth), palette: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, 1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if !palette.is_empty() {
        encoder.set_palette(palette);
    }
    encoder.write_header().unwrap().write_image_data(bytes).unwrap();
    file
}

#[test]
fn every_kind_of_pixel_becomes_red_green_blue() {
    use BitDepth::{Eight, One, Sixteen};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let two = [1, 2, 3, 250, 251, 252];
    let cases: [(_, &[u8], &[u8], [u8; 6]); 8] = [
        ((Rgb, Eight), &[], &two, two),
        ((Rgba, Eight), &[], &[1, 2, 3, 0, 250, 251, 252, 99], two),
        ((Rgb, Sixteen), &[], &[1, 255, 2, 255, 3, 255, 250, 255, 251, 255, 252, 255], two),
        ((Grayscale, Eight), &[], &[7, 200], [7, 7, 7, 200, 200, 200]),
        ((Grayscale, Sixteen), &[], &[0, 7, 1, 0], [7, 7, 7, 255, 255, 255]),
        ((Grayscale, One), &[], &[0b0100_0000], [0, 0, 0, 255, 255, 255]),
        ((GrayscaleAlpha, Eight), &[], &[7, 0, 200, 1], [7, 7, 7, 200, 200, 200]),
        ((Indexed, Eight), &two, &[1, 0], [250, 251, 252, 1, 2, 3]),
    ];
    for (kind, palette, bytes, expected) in cases {
        let image = Image::decode(&encoded(2, kind, palette, bytes)).unwrap();
        assert_eq!((image.width(), image.height()), (2, 1));
        assert_eq!(image.pixels(), expected, "{kind:?}");
    }
}

/// A chunk of a PNG file.
fn chunk(kind: &str, content: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind.as_bytes());
    crc.update(content);
    [&(content.len() as u32).to_be_bytes(), kind.as_bytes(), content, &crc.sum().to_be_bytes()].concat()
}

/// The data of these rows, each with its filter in front; stored, so that they end just before the checksum.
fn zlib(rows: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut encoder, rows).unwrap();
    encoder.finish().unwrap()
}

/// A PNG file of three columns and two rows, of 8 bits, with these chunks between the header and the end.
fn three_by_two(color: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = chunk("IHDR", &[0, 0, 0, 3, 0, 0, 0, 2, 8, color, 0, 0, 0]);
    [PNG, &header, &chunks.concat(), &chunk("IEND", &[])].concat()
}

/// The first channel of what is read, or the reason why nothing is.
fn reds(file: &[u8]) -> Result<Vec<u8>, String> {
    let image = Image::decode(file).map_err(|e| e.to_string())?;
    Ok(image.pixels().iter().step_by(3).copied().collect())
}

const GRAY: u8 = 0;
const INDEXED: u8 = 3;
const ROWS: [u8; 8] = [0, 1, 2, 3, 0, 4, 5, 6];

#[test]
fn palettes_may_be_too_short() {
    let data = chunk("IDAT", &zlib(&[0, 0, 1, 2, 0, 3, 254, 255]));
    let palette = |colors: &[u8]| reds(&three_by_two(INDEXED, &[chunk("PLTE", colors), data.clone()]));
    assert_eq!(palette(&[10, 11, 12, 20, 21, 22, 30, 31]), Ok(vec![10, 20, 0, 0, 0, 0]));
    let whole: Vec<u8> = (0..=255).flat_map(|i| [255 - i; 3]).collect();
    assert_eq!(palette(&whole), Ok(vec![255, 254, 253, 252, 1, 0]));
    assert!(palette(&[&whole[..], &[0; 3]].concat()).unwrap_err().contains("more than 256 colours"));
    assert_eq!(reds(&three_by_two(INDEXED, &[data])), Ok(vec![0; 6]), "no palette");
}

#[test]
fn checksums_count_before_the_data_and_of_the_data() {
    let damaged = |bytes: &[u8]| [&bytes[..bytes.len() - 1], &[!bytes[bytes.len() - 1]]].concat();
    let (data, text) = (zlib(&ROWS), chunk("tEXt", b"key\0value"));
    let idat = chunk("IDAT", &data);
    let gray = |chunks: &[Vec<u8>]| reds(&three_by_two(GRAY, chunks));
    let right = Ok(vec![1, 2, 3, 4, 5, 6]);
    assert_eq!(gray(&[text.clone(), idat.clone(), text.clone()]), right);
    assert_eq!(gray(&[damaged(&idat)]), right, "the chunk's");
    assert_eq!(gray(&[idat.clone(), damaged(&text)]), right, "after the data");
    let error = gray(&[damaged(&text), idat]).unwrap_err();
    assert!(error.contains("the checksum of its chunk tEXt is wrong"), "{error}");
    let error = gray(&[chunk("IDAT", &damaged(&data))]).unwrap_err();
    assert!(error.contains("its compressed data are damaged"), "zlib's: {error}");
}

#[test]
fn data_may_end_early_but_not_within_a_row() {
    let gray = |chunks: &[Vec<u8>]| reds(&three_by_two(GRAY, chunks));
    assert_eq!(gray(&[chunk("IDAT", &zlib(&ROWS[..4]))]), Ok(vec![1, 2, 3, 0, 0, 0]));
    assert_eq!(gray(&[chunk("IDAT", &zlib(&[&ROWS[..], &[7; 99]].concat()))]), Ok(vec![1, 2, 3, 4, 5, 6]));
    assert!(gray(&[chunk("IDAT", &zlib(&ROWS[..6]))]).unwrap_err().contains("end within a row"));
    assert!(gray(&[]).unwrap_err().contains("no image data"));
    // In many chunks, between which nothing else may be.
    let mut chunks: Vec<_> = zlib(&ROWS).iter().map(|&byte| chunk("IDAT", &[byte])).collect();
    assert_eq!(gray(&chunks), Ok(vec![1, 2, 3, 4, 5, 6]));
    chunks.insert(3, chunk("tEXt", b"key\0value"));
    assert!(gray(&chunks).unwrap_err().contains("too little image data"));
}

#[test]
fn a_png_may_be_cut_off_after_its_last_row() {
    let data = zlib(&ROWS);
    let file = three_by_two(GRAY, &[chunk("IDAT", &data), chunk("tEXt", b"key\0value")]);
    // Where zlib's checksum begins, and the second chunk's content.
    let (rows, text) = (PNG.len() + 25 + 8 + data.len() - 4, file.len() - 12 - 13);
    for cut in 0..file.len() {
        let sound = cut >= rows && !(text..text + 9).contains(&cut);
        assert_eq!(reds(&file[..cut]).is_ok(), sound, "{cut} bytes of {}", file.len());
    }
    assert!(Image::decode(b"GIF89a and more").is_err());
}

#[test]
fn interlaced_rows_come_to_their_places() {
    // The pass that each pixel of 8 x 8 comes in.
    const PASSES: [[u8; 8]; 8] = [
        [1, 6, 4, 6, 2, 6, 4, 6],
        [7; 8],
        [5, 6, 5, 6, 5, 6, 5, 6],
        [7; 8],
        [3, 6, 4, 6, 3, 6, 4, 6],
        [7; 8],
        [5, 6, 5, 6, 5, 6, 5, 6],
        [7; 8],
    ];
    for (width, height) in [(1, 1), (3, 2), (9, 10), (16, 15)] {
        let mut rows = Vec::new();
        for (pass, y) in (1..=7).flat_map(|pass| (0..height).map(move |y| (pass, y))) {
            let row: Vec<_> = (0..width).filter(|&x| PASSES[y % 8][x % 8] == pass).collect();
            if !row.is_empty() {
                rows.push(0);
                rows.extend(row.iter().map(|x| (y * width + x) as u8));
            }
        }
        let header = [0, 0, 0, width as u8, 0, 0, 0, height as u8, 8, GRAY, 0, 0, 1];
        let file = [PNG, &chunk("IHDR", &header), &chunk("IDAT", &zlib(&rows))].concat();
        assert_eq!(reds(&file), Ok((0..width * height).map(|i| i as u8).collect()), "{width} x {height}");
    }
}

/// A header that claims so many pixels, with its checksum.
fn png_of_size(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    [PNG, &chunk("IHDR", &[&size[..], &[1, GRAY, 0, 0, 0]].concat()), &chunk("IDAT", &[])].concat()
}

#[test]
fn as_many_pixels_are_read_as_pillow_reads_without_a_warning() {
    let reason = |width, height| Image::decode(&png_of_size(width, height)).unwrap_err().to_string();
    assert!(reason(89_478_485, 1).contains("cut off"), "they are looked for");
    for (width, height) in [(89_478_486, 1), (1, 89_478_486), (1 << 16, 1 << 16)] {
        assert!(reason(width, height).contains("more than 89 million"));
    }
    assert!(reason(0, 1).contains("no pixels"));
}

/// A JPEG file of `make_references.jpegs`.
fn jpeg(name: &str) -> Vec<u8> {
    Stored::open("image_files").0.remove(&format!("{name}.file")).unwrap().bytes
}

#[test]
fn a_jpeg_is_read_near_to_what_was_written_and_what_is_no_whole_jpeg_is_refused() {
    let rgb: Vec<u8> = (0..40 * 30).flat_map(|i| [(i % 40 * 6) as u8, (i / 40 * 8) as u8, 90]).collect();
    let whole = jpeg("gradient.jpg");
    let image = Image::decode(&whole).unwrap();
    assert_eq!((image.width(), image.height()), (40, 30));
    let furthest = image.pixels().iter().zip(&rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(furthest < 16, "{furthest} levels away");
    // libjpeg itself makes up what is missing. The last two bytes say that the file ends.
    for cut in 0..whole.len() - 2 {
        let reason = Image::decode(&whole[..cut]).unwrap_err().to_string();
        let expected = if cut == 0 {
            "it is empty"
        } else if cut < 3 {
            "neither as PNG nor as JPEG"
        } else {
            "it is cut off"
        };
        assert!(reason.contains(expected), "{cut} bytes of {}: {reason}", whole.len());
    }
    let damaged = [&whole[..2], &[0xff, 0xc0, 0, 0], &whole[2..]].concat();
    assert_eq!(
        Image::decode(&damaged).unwrap_err().to_string(),
        "cannot decode an image: Bogus marker length"
    );
    // The frame's header: ff c0 or c2, two bytes of length, one of bits, then height and width.
    let frame = whole.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
    let mut huge = whole.clone();
    huge[frame + 5..frame + 9].fill(0xf0);
    assert!(Image::decode(&huge).unwrap_err().to_string().contains("89 million"));
}

#[test]
fn kinds_are_told_by_content_and_errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    std::fs::write(&path, jpeg("pixel.jpg")).unwrap();
    assert_eq!(Image::open(&path).unwrap().pixels().len(), 3);
    for (content, reason) in [("", "empty"), ("no image", "neither as PNG nor as JPEG")] {
        std::fs::write(&path, content).unwrap();
        let error = Image::open(&path).unwrap_err().to_string();
        assert!(error.contains("photo.png") && error.contains(reason), "{error}");
    }
}

#[test]
fn arithmetic_coding_gives_the_pixels_of_huffmans() {
    let folder = common::folder().join("images");
    for kind in ["", "-progressive"] {
        let [arithmetic, huffman] = ["RGB-arithmetic", "RGB"]
            .map(|name| Image::open(&folder.join(format!("{name}{kind}.jpg"))).unwrap());
        assert!(arithmetic == huffman, "{kind}");
    }
}

#[test]
fn a_jpeg_that_overflows_saturates() {
    // In the last image the first of two passes overflows.
    for (name, levels) in [("black", [0; 8]), ("white", [255; 8]), ("edge", [255, 255, 255, 255, 0, 0, 0, 0])]
    {
        let levels: Vec<u8> = levels.into_iter().flat_map(|level| [level; 8]).collect();
        assert_eq!(reds(&jpeg(&format!("{name}.jpg"))), Ok(levels), "{name}");
    }
}
