//! The models inside the binary.

/// A model that ships: its name for `--model`, and its archive's files.
pub struct BuiltIn {
    pub name: &'static str,
    pub files: &'static [(&'static str, &'static [u8])],
}

/// The files of a folder under models/.
macro_rules! built_in {
    ($name:literal $(, $more:literal)*) => {
        BuiltIn {
            name: $name,
            files: &[
                file!($name, "manifest.json"),
                file!($name, "config.json"),
                file!($name, "tokenizer.json"),
                file!($name, "model.safetensors"),
                $(file!($name, $more)),*
            ],
        }
    };
}

macro_rules! file {
    ($name:literal, $file:literal) => {
        ($file, include_bytes!(concat!("../../models/", $name, "/", $file)).as_slice())
    };
}

/// The first is used where none is named. To ship another, put its folder under models/ and a line here.
pub const BUILT_IN: &[BuiltIn] = &[built_in!("default", "known.tsv"), built_in!("mini")];

impl BuiltIn {
    /// The model of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|model| model.name == name)
    }
}
