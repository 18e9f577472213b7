//! Why a file gives no weights, and what to do about it: often it is another kind of file, which its first bytes show.

use std::io;
use std::path::Path;

use safetensors::SafeTensorError;

/// How many of a file's first bytes show what it is.
pub(super) const BEGINNING: u64 = 512;

/// The longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// What `torch.save` wrote as its first pickle, before it wrote zip archives.
const TORCH_MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";

/// What is wrong with it, in a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is a folder")]
    Folder,
    #[error("torch.save wrote it, which is another format than safetensors")]
    TorchSave,
    #[error("it is a Git LFS pointer, not the file that it stands for")]
    LfsPointer,
    #[error("it is an HTML page")]
    WebPage,
    #[error("the file is truncated: {0}")]
    Truncated(String),
    #[error("{0}")]
    Other(String),
}

impl Fault {
    /// Why `bytes` are no safetensors file.
    pub(super) fn of_format(error: &SafeTensorError, bytes: &[u8]) -> Self {
        known(bytes).unwrap_or_else(|| match error {
            SafeTensorError::InvalidHeaderLength => Self::Truncated("it ends within its header".to_owned()),
            SafeTensorError::MetadataIncompleteBuffer => of_length(bytes),
            error => Self::Other(format!("it is no safetensors file: {error}")),
        })
    }

    /// What to do about the file at `path`.
    pub(super) fn remedy(&self, path: &Path) -> String {
        match self {
            Self::TorchSave => convert(path),
            Self::Folder => "name a .safetensors file in it".to_owned(),
            Self::LfsPointer => "fetch the file itself with `git lfs pull`".to_owned(),
            Self::WebPage => "download the file itself, not the page that shows it".to_owned(),
            Self::Truncated(_) => "copy or download it again".to_owned(),
            Self::Io(_) | Self::Other(_) => {
                "name a .safetensors file, as a run leaves it under weights/".to_owned()
            }
        }
    }
}

/// Refuses a file that begins with these bytes, if they show that it is no safetensors file.
pub(super) fn check_beginning(bytes: &[u8]) -> Result<(), Fault> {
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    if length.is_some_and(|length| length <= MAX_HEADER) {
        return Ok(());
    }
    Err(known(bytes).unwrap_or_else(|| match length {
        None if bytes.is_empty() => Fault::Truncated("it is empty".to_owned()),
        None => Fault::Truncated(format!("it has {} bytes", bytes.len())),
        Some(length) => Fault::Other(format!(
            "it is no safetensors file: its header would have {length} bytes, more than {MAX_HEADER}"
        )),
    }))
}

/// Names a file of another kind that people take for safetensors.
fn known(bytes: &[u8]) -> Option<Fault> {
    let beginning = &bytes[..bytes.len().min(BEGINNING as usize)];
    let contains = |part: &[u8]| beginning.windows(part.len()).any(|window| window == part);
    let text = String::from_utf8_lossy(beginning).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    if beginning.starts_with(b"PK\x03\x04") && contains(b".pkl") || contains(TORCH_MAGIC) {
        Some(Fault::TorchSave)
    } else if text.starts_with("version https://git-lfs.github.com/spec/") {
        Some(Fault::LfsPointer)
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Some(Fault::WebPage)
    } else {
        None
    }
}

/// The tensors do not fill the file, or not all of them are in it.
fn of_length(bytes: &[u8]) -> Fault {
    let (length, rest) = bytes.split_first_chunk().expect("its header was read");
    let (header, numbers) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Value = serde_json::from_slice(header).unwrap_or_default();
    let ends = header.as_object().into_iter().flatten();
    let promised = ends.filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64()).max().unwrap_or(0);
    let counts = format!("its header promises {promised} bytes of tensors, and {} follow", numbers.len());
    if (numbers.len() as u64) < promised { Fault::Truncated(counts) } else { Fault::Other(counts) }
}

/// One line of Python that writes the file anew.
fn convert(path: &Path) -> String {
    let ending =
        if path.extension().is_some_and(|e| e == "safetensors") { "new.safetensors" } else { "safetensors" };
    let [from, to] =
        [path, &path.with_extension(ending)].map(|path| serde_json::json!(path.to_string_lossy()));
    format!(
        "write a safetensors file in Python: import torch; from safetensors.torch import save_file; \
         save_file(torch.load(open({from}, \"rb\"), map_location=\"cpu\", weights_only=True), {to}) \
         (where it holds more than a state_dict, take that: torch.load(...)[\"model\"])"
    )
}
