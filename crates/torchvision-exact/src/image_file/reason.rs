//! Why a file is refused.

use std::fmt::Display;

/// The most pixels that are read, those from which on Pillow warns: a file of a few bytes can claim any size.
const MAX_PIXELS: u64 = 89_478_485;

/// Why a file is no image for us, as the end of a sentence.
pub(super) struct Reason(pub String);

impl<E: Display> From<E> for Reason {
    fn from(e: E) -> Self {
        Self(e.to_string())
    }
}

/// Refuses an image of a size that its header claims, before there is memory for it.
pub(super) fn check_size(width: usize, height: usize) -> Result<(), Reason> {
    if width as u64 * height as u64 > MAX_PIXELS {
        let most = MAX_PIXELS / 1_000_000;
        return Err(format!("{width} x {height} pixels are more than {most} million").into());
    }
    Ok(())
}
