//! Passwords and keys: named in the settings, never written there.

use std::{fmt, fs, path::PathBuf};

use serde::Deserialize;

/// Where a secret is: `{env: NAME}` or `{file: PATH}`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// In a variable of the environment.
    Env(String),
    /// In a file, without its last newline; read anew each time, since mounted secrets rotate.
    File(PathBuf),
}

impl Secret {
    /// The secret itself.
    ///
    /// # Errors
    /// A sentence with the name of the variable or file that is missing.
    pub fn reveal(&self) -> Result<String, String> {
        match self {
            Self::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment has no variable {name}; set it to the secret")),
            Self::File(path) => fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|error| format!("could not read the secret in {}: {error}", path.display())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(formatter, "env {name}"),
            Self::File(path) => write!(formatter, "file {}", path.display()),
        }
    }
}
