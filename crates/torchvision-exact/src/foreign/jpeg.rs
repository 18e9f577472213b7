//! `csrc/jpeg.c`: libjpeg.

// The library that csrc calls.
use mozjpeg_sys as _;

/// The longest message of libjpeg with its last byte, 0; csrc has the same.
type Message = [u8; 200];

/// What a file's header says.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Header {
    pub width: u32,
    pub height: u32,
    /// 3 for red, green and blue; 4 for cyan, magenta, yellow and black.
    pub channels: u32,
}

unsafe extern "C" {
    fn torchvision_exact_jpeg_header(
        bytes: *const u8,
        length: usize,
        header: &mut Header,
        message: &mut Message,
    ) -> i32;
    fn torchvision_exact_jpeg_decode(
        bytes: *const u8,
        length: usize,
        pixels: *mut u8,
        size: usize,
        message: &mut Message,
    ) -> i32;
}

/// Reads the header of a JPEG file, or says in libjpeg's words why not.
pub(crate) fn header(file: &[u8]) -> Result<Header, String> {
    let mut header = Header::default();
    // SAFETY: the function reads `file.len()` bytes at most, writes one header and one message, and keeps no pointer.
    checked(|message| unsafe {
        torchvision_exact_jpeg_header(file.as_ptr(), file.len(), &mut header, message)
    })?;
    Ok(header)
}

/// The pixels of a JPEG file, whose header this is: (height, width, channels), row by row.
pub(crate) fn pixels(file: &[u8], header: &Header) -> Result<Vec<u8>, String> {
    let [width, height, channels] = [header.width, header.height, header.channels].map(|n| n as usize);
    let mut pixels = vec![0; width * height * channels];
    // SAFETY: as for the header; the function writes `pixels.len()` bytes of pixels, or fails if the file has another number.
    checked(|message| unsafe {
        torchvision_exact_jpeg_decode(file.as_ptr(), file.len(), pixels.as_mut_ptr(), pixels.len(), message)
    })?;
    Ok(pixels)
}

/// What csrc's `DONE`, `FAILED` and `ENDED` mean.
fn checked(call: impl FnOnce(&mut Message) -> i32) -> Result<(), String> {
    const DONE: i32 = 0;
    const ENDED: i32 = 2;
    let mut message = [0; 200];
    match call(&mut message) {
        DONE => Ok(()),
        ENDED => Err("it is cut off, or cannot be read to its end".to_owned()),
        _ => {
            let text = message.split(|&byte| byte == 0).next().unwrap_or_default();
            Err(String::from_utf8_lossy(text).into_owned())
        }
    }
}
