//! The errors of the crates below, in words for this program's users.

use tch_extra::MOST_THREADS;

use crate::Error;

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
            E::MissingVariables(_) => Self::usage(
                what,
                "start the program with torchrun --no-python, set all of them, or unset all to run one process",
            ),
            E::BadVariable { .. } => Self::usage(
                what,
                "start the program with torchrun --no-python, or correct what sets the variable",
            ),
            E::NoStore { .. } => Self::failed(
                what,
                "check MASTER_ADDR and MASTER_PORT, and that rank 0 or torchrun runs there",
            ),
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
            Size(_) => Self::usage(what, "give edges of 1 to 65,535 pixels"),
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
            E::Threads(threads) => Self::usage(
                format!("--threads {threads} is not 1 to {MOST_THREADS}"),
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
            E::NoFused { .. } => Self::failed(
                what,
                "leave fused out of --variants; `d2l_ch7 doctor` says what keeps a GPU from being used",
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

    use crate::Error;

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
