//! `config.json` of the commands that train nothing.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use crate::Result;
use crate::report::RunDir;
use crate::torch::Signature;

/// Writes `config.json`; `signature` is left out of results that do not depend on it.
///
/// # Errors
/// If it cannot be written.
pub fn write_config(
    dir: &RunDir,
    seed: u64,
    image: Option<&Path>,
    signature: Option<Signature>,
) -> Result<()> {
    #[derive(Serialize)]
    struct Config<'a> {
        seed: u64,
        image: Option<Cow<'a, str>>,
        d2l_ch7: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<Signature>,
    }
    let image = image.map(Path::to_string_lossy);
    let config = Config { seed, image, d2l_ch7: env!("CARGO_PKG_VERSION"), signature };
    dir.write_atomically("config.json", |file| Ok(serde_json::to_writer_pretty(file, &config)?))
}
