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

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// They are not checked when a model is opened, so that a start takes less.
    #[test]
    fn every_file_has_the_digest_that_its_manifest_says() {
        for model in BUILT_IN {
            let (_, manifest) = model.files.iter().find(|(name, _)| *name == "manifest.json").unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
            let listed = manifest["files"].as_object().unwrap();
            assert_eq!(listed.len() + 1, model.files.len(), "{}", model.name);
            for (name, about) in listed {
                let (_, bytes) = model.files.iter().find(|(file, _)| file == name).unwrap();
                let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(about["sha256"], digest, "{name} of {}", model.name);
            }
        }
    }
}
