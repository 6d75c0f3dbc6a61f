//! Settings files: YAML whose errors name line and column, and the parts that several commands share.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use garde::Validate;
use logrisk_score::encoder::Precision;
use serde::{Deserialize, Deserializer, de, de::DeserializeOwned};

use crate::commands::score::EngineArgs;

/// Reads and validates a settings file.
///
/// # Errors
/// A file that cannot be read, with line and column of what is wrong in it.
pub fn read<T: DeserializeOwned + Validate<Context = ()>>(path: &Path) -> anyhow::Result<T> {
    let name = path.display();
    let yaml = fs::read_to_string(path).with_context(|| format!("could not read settings {name}"))?;
    parse(&yaml).map_err(|(place, reason)| anyhow::anyhow!("settings {name}{place}: {reason}"))
}

/// Where and what: `:3:9` and a sentence.
pub fn parse<T: DeserializeOwned + Validate<Context = ()>>(yaml: &str) -> Result<T, (String, String)> {
    // A file that says nothing leaves everything as it is.
    let yaml = if yaml.trim().is_empty() { "{}" } else { yaml };
    // No snippet: a neighbour of the wrong line may be a secret.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options_valid(yaml, options).map_err(|error| {
        let message = error.to_string();
        let place = error.location().map(place).unwrap_or_default();
        let first = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let end = first.find(" at line ").filter(|_| !place.is_empty()).unwrap_or(first.len());
        (place, first.get(..end).unwrap_or(first).trim_start_matches("error: ").to_owned())
    })
}

/// `:3:9`.
pub fn place(location: serde_saphyr::Location) -> String {
    format!(":{}:{}", location.line(), location.column())
}

/// What scores, as a settings file says it.
#[derive(Debug, Default, Deserialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    #[garde(skip)]
    model: Option<PathBuf>,
    #[garde(skip)]
    adapter: Option<PathBuf>,
    #[garde(skip)]
    rules: Option<PathBuf>,
    #[garde(skip)]
    threads: Option<NonZeroUsize>,
    #[garde(skip)]
    #[serde(deserialize_with = "precision")]
    precision: Option<Precision>,
    #[garde(range(min = 8, max = 512))]
    max_tokens: Option<u16>,
}

fn precision<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Precision>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

impl EngineSettings {
    /// The same as arguments: what the file leaves out is taken from the environment, else it is the default.
    pub fn arguments(self) -> anyhow::Result<EngineArgs> {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            engine: EngineArgs,
        }
        let mut arguments = <Defaults as clap::Parser>::try_parse_from(["logrisk"])?.engine;
        self.fill(&mut arguments, |_| false);
        Ok(arguments)
    }

    /// Puts what the file says where neither a flag nor the environment was `given`.
    pub fn fill(self, arguments: &mut EngineArgs, given: impl Fn(&str) -> bool) {
        fn put<T>(slot: &mut T, value: Option<T>, given: bool) {
            if let Some(value) = value
                && !given
            {
                *slot = value;
            }
        }
        put(&mut arguments.model, self.model.map(Some), given("model"));
        put(&mut arguments.adapter, self.adapter.map(Some), given("adapter"));
        put(&mut arguments.rules, self.rules.map(Some), given("rules"));
        put(&mut arguments.threads, self.threads.map(Some), given("threads"));
        put(&mut arguments.precision, self.precision, given("precision"));
        put(&mut arguments.max_tokens, self.max_tokens, given("max_tokens"));
    }
}
