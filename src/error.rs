//! Errors a user can act on: one line what went wrong and where, one line what to do.

use tch_extra::MOST_THREADS;

/// The result of everything in this crate that can fail for a reason outside it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what to do about it: a line each.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    remedy: String,
    exit_code: u8,
    backtrace: Option<String>,
}

impl Error {
    fn new(what: impl Into<String>, remedy: impl Into<String>, exit_code: u8) -> Self {
        Self { what: what.into(), remedy: remedy.into(), exit_code, backtrace: None }
    }

    /// The run cannot go on: `what` happened (name the file, the epoch, the value), and `remedy` says what to do.
    pub fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(what, remedy, 1)
    }

    /// The command line asks for something that cannot be.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(what, remedy, 2)
    }

    /// A person stopped the run (Ctrl-C, SIGTERM, SIGHUP), and what was finished is saved; see [`interrupt::error`](crate::interrupt::error).
    pub fn interrupted(what: impl Into<String>, remedy: impl Into<String>, exit_code: u8) -> Self {
        Self::new(what, remedy, exit_code)
    }

    /// The same error with a panic's backtrace.
    #[must_use]
    pub fn with_backtrace(self, backtrace: Option<String>) -> Self {
        Self { backtrace, ..self }
    }

    /// The same error with the name of the process it comes from in front.
    #[must_use]
    pub fn of(self, process: &str) -> Self {
        Self { what: format!("{process}: {}", self.what), ..self }
    }

    /// The line that says what to do.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The panic's backtrace, if this was a panic and `RUST_BACKTRACE` asks for one.
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }

    /// Whether a person stopped the run.
    pub fn is_interruption(&self) -> bool {
        self.exit_code >= 128
    }

    /// The process's exit code: 1 failed, 2 the command line was wrong, 128 and the signal's number if a person stopped the run.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl Error {
    /// The error below the contexts of `error`: ours, or that of one of the crates in our words.
    pub fn below(error: anyhow::Error) -> Self {
        let error = error.downcast::<Self>();
        let error = error.or_else(|error| error.downcast::<tch_extra::Error>().map(Self::from));
        let error = error.or_else(|error| error.downcast::<tch_c10d::Error>().map(Self::from));
        let error = error.or_else(|error| error.downcast::<torchvision_exact::Error>().map(Self::from));
        error.unwrap_or_else(|error| Self::failed(error.to_string(), "please report this as a bug"))
    }
}

impl From<tch_c10d::Error> for Error {
    fn from(error: tch_c10d::Error) -> Self {
        use tch_c10d::Error as E;
        let what = error.to_string();
        match error {
            E::Torch(error) => error.into(),
            E::Nul(_) => Self::usage(what, "give text without NUL"),
            E::TooManyRanks(_) => Self::usage(what, "start fewer processes"),
            _ => Self::failed(
                what,
                "build where PyTorch is installed by pip, which brings the headers of NCCL and CUDA; or give --device cpu",
            ),
        }
    }
}

impl From<torchvision_exact::Error> for Error {
    fn from(error: torchvision_exact::Error) -> Self {
        use torchvision_exact::Error::{Batch, Crop, File, Jitter, Normalize, Pixels, Size};
        let what = error.to_string();
        match error {
            Pixels { .. } => {
                Self::failed(what, "give height x width x channels bytes, and at least one pixel")
            }
            Batch(_) => Self::failed(what, "resize or crop them to the same size first"),
            Size(_) => Self::usage(what, "give edges of one pixel or more"),
            Crop { .. } => Self::usage(what, "give two positive numbers, the smaller one first"),
            Jitter { bounds: (least, most), .. } => {
                Self::usage(what, format!("give a range within {least} to {most}, the smaller number first"))
            }
            Normalize { .. } => {
                Self::usage(what, "give a mean and a standard deviation other than 0 for each channel")
            }
            File { path: Some(_), .. } => {
                Self::failed(what, "name a PNG or JPEG file; images of other kinds must be converted first")
            }
            File { path: None, .. } => Self::failed(what, "give the bytes of a PNG or JPEG file"),
        }
    }
}

impl From<tch_extra::Error> for Error {
    fn from(error: tch_extra::Error) -> Self {
        use tch_extra::Error as E;
        let what = error.to_string();
        match error {
            E::TooManyThreads(threads) => Self::usage(
                format!("--threads {threads} is more than {MOST_THREADS}"),
                format!(
                    "give --threads 1 to {MOST_THREADS}; more than there are processors make nothing faster"
                ),
            ),
            E::ThreadLimit { variable, most, .. } => {
                let or_less = if most > 1 { " or less" } else { "" };
                Self::usage(what, format!("unset {variable}, or give --threads {most}{or_less}"))
            }
            E::NoGraphs { .. } => Self::failed(
                what,
                "run without graphs; `d2l_ch7 doctor` says what keeps a GPU from being used",
            ),
            E::NoDevice { .. } => {
                Self::failed(what, "`d2l_ch7 doctor` says what keeps a GPU from being used")
            }
            E::OtherGenerators(_) => Self::failed(what, "resume on the device that the run was started on"),
            E::StateDict { .. } => {
                Self::failed(what, "give the weights that a run of the same recipe and variant saved")
            }
            E::OptimizerState(_) => {
                Self::failed(what, "resume with the options that the run was started with")
            }
            _ => Self::failed(
                what,
                "if the device ran out of memory, choose a smaller --batch-size; else please report this",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use torchvision_exact::image::Image;
    use torchvision_exact::transforms::{ColorJitter, RandomResizedCrop, Resize, Size};

    use super::Error;

    #[test]
    fn errors_of_transforms_are_usage_errors_with_what_to_do_and_those_of_files_are_not() {
        let usage = [
            Resize::new(Size::ShorterEdge(0)).unwrap_err(),
            RandomResizedCrop::new((1, 1)).unwrap().scale(1.0, 0.5).unwrap_err(),
            ColorJitter::new(0.0, 0.0, 0.0, 0.6).unwrap_err(),
        ];
        for error in usage.map(Error::from) {
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.remedy().starts_with("give "), "{error}: {}", error.remedy());
        }
        let error = Error::from(Image::open("no/such.png".as_ref()).unwrap_err());
        assert!(error.to_string().starts_with("cannot read the image no/such.png: "), "{error}");
        assert!(error.remedy().starts_with("name a PNG or JPEG file"), "{}", error.remedy());
        assert_eq!(error.exit_code(), 1);
        // Also through a command, which may say what it was doing.
        let error = anyhow::Error::from(tch_extra::Error::OptimizerState("one tensor".to_owned()));
        assert!(Error::below(error.context("resuming")).remedy().starts_with("resume with the options"));
        let error = Error::from(Image::decode(b"").unwrap_err());
        assert_eq!(error.to_string(), "cannot decode an image: it is empty");
    }
}
