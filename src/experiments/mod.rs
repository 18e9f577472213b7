//! One file a notebook: hyperparameters and wiring only.
