//! Tests of image files.

use ::png::{BitDepth, ColorType, Encoder};

use super::*;

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

#[test]
fn what_is_no_whole_png_is_refused() {
    let whole = encoded(2, (ColorType::Rgb, BitDepth::Eight), &[], &[1, 2, 3, 4, 5, 6]);
    for cut in 0..whole.len() - 12 {
        assert!(Image::decode(&whole[..cut]).is_err(), "{cut} bytes of {}", whole.len());
    }
    assert!(Image::decode(b"GIF89a and more").is_err());
    // A header that claims 65,536 x 65,536 pixels, with its checksum.
    let mut huge = Vec::new();
    let header = Encoder::new(&mut huge, 1 << 16, 1 << 16).write_header().unwrap();
    std::mem::forget(header);
    assert!(Image::decode(&huge).unwrap_err().to_string().contains("50 million"));
}

/// A JPEG file of these red, green and blue pixels.
fn jpeg(width: usize, height: usize, rgb: &[u8]) -> Vec<u8> {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    encoder.set_size(width, height);
    encoder.set_quality(100.);
    let mut encoder = encoder.start_compress(Vec::new()).unwrap();
    encoder.write_scanlines(rgb).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_jpeg_is_read_near_to_what_was_written_and_what_is_no_whole_jpeg_is_refused() {
    let rgb: Vec<u8> = (0..40 * 30).flat_map(|i| [(i % 40 * 6) as u8, (i / 40 * 8) as u8, 90]).collect();
    let whole = jpeg(40, 30, &rgb);
    let image = Image::decode(&whole).unwrap();
    assert_eq!((image.width(), image.height()), (40, 30));
    let furthest = image.pixels().iter().zip(&rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(furthest < 16, "{furthest} levels away");
    // libjpeg itself makes up what is missing. The last two bytes say that the file ends.
    for cut in 0..whole.len() - 2 {
        assert!(Image::decode(&whole[..cut]).is_err(), "{cut} bytes of {}", whole.len());
    }
    // The frame's header: ff c0 or c2, two bytes of length, one of bits, then height and width.
    let frame = whole.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
    let mut huge = whole.clone();
    huge[frame + 5..frame + 9].fill(0xf0);
    assert!(Image::decode(&huge).unwrap_err().to_string().contains("50 million"));
}

#[test]
fn kinds_are_told_by_content_and_errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    std::fs::write(&path, jpeg(1, 1, &[200, 100, 50])).unwrap();
    assert_eq!(Image::open(&path).unwrap().pixels().len(), 3);
    for (content, reason) in [("", "empty"), ("no image", "neither as PNG nor as JPEG")] {
        std::fs::write(&path, content).unwrap();
        let error = Image::open(&path).unwrap_err().to_string();
        assert!(error.contains("photo.png") && error.contains(reason), "{error}");
    }
}

/// The first channel of what is read, or the reason why nothing is.
fn reds(file: &[u8]) -> Result<Vec<u8>, String> {
    let image = Image::decode(file).map_err(|e| e.to_string())?;
    Ok(image.pixels().iter().step_by(3).copied().collect())
}

#[test]
fn arithmetic_coding_gives_the_pixels_of_huffmans() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/image");
    for kind in ["", "-progressive"] {
        let [arithmetic, huffman] = ["RGB-arithmetic", "RGB"]
            .map(|name| Image::open(&corpus.join(format!("sound-{name}{kind}.jpg"))).unwrap());
        assert!(arithmetic == huffman, "{kind}");
    }
}

#[test]
fn a_jpeg_that_overflows_saturates() {
    // In the last image the first of two passes overflows.
    for (levels, factor) in [([0; 8], 6), ([255; 8], 6), ([255, 255, 255, 255, 0, 0, 0, 0], 12)] {
        let levels: Vec<u8> = levels.into_iter().flat_map(|level| [level; 8]).collect();
        let mut file = jpeg(8, 8, &levels.iter().flat_map(|&level| [level; 3]).collect::<Vec<_>>());
        // A table of quantization: ff db, two bytes of length, its number, then 64 steps.
        let tables: Vec<_> = (0..file.len()).filter(|&i| file[i..].starts_with(&[0xff, 0xdb])).collect();
        for table in tables {
            file[table + 5..][..64].iter_mut().for_each(|step| *step *= factor);
        }
        assert_eq!(reds(&file), Ok(levels));
    }
}
