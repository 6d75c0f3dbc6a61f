//! The settings file: YAML whose errors name line and column.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, CommandFactory as _, parser::ValueSource};
use garde::Validate;
use logrisk_base::Risk;
use serde::{Deserialize, de::IgnoredAny};

use super::{ChannelName, KeySetting, ServeArgs};
use crate::{
    commands::Cli,
    log::LogFormat,
    settings::{EngineSettings, read},
};

/// The settings file. Every field may be left out; unknown ones are refused, since a misspelt setting must not go unnoticed.
#[derive(Debug, Default, Deserialize, Validate)]
#[serde(deny_unknown_fields, default)]
struct File {
    #[garde(dive)]
    serve: ServeFile,
    #[garde(dive)]
    engine: EngineSettings,
    #[garde(dive)]
    alerts: AlertsFile,
    #[garde(skip)]
    traces: TracesFile,
    #[garde(skip)]
    log: LogFile,
    /// Those of the data plane, which `run::Settings` reads.
    #[garde(skip)]
    #[serde(rename = "sources")]
    _sources: IgnoredAny,
    #[garde(skip)]
    #[serde(rename = "sinks")]
    _sinks: IgnoredAny,
    #[garde(skip)]
    #[serde(rename = "routes")]
    _routes: IgnoredAny,
    #[garde(skip)]
    #[serde(rename = "run")]
    _run: IgnoredAny,
}

#[derive(Debug, Default, Deserialize, Validate)]
#[serde(deny_unknown_fields, default)]
struct ServeFile {
    #[garde(skip)]
    host: Option<IpAddr>,
    #[garde(skip)]
    port: Option<u16>,
    #[garde(skip)]
    data_dir: Option<PathBuf>,
    #[garde(skip)]
    tls: Option<TlsFile>,
    #[garde(dive)]
    keys: Option<Vec<KeySetting>>,
    #[garde(skip)]
    allowed_origins: Option<Vec<String>>,
    #[garde(range(min = 1, max = 1024))]
    body_mebibytes: Option<u32>,
    #[garde(range(min = 1, max = 16384))]
    bodies_mebibytes: Option<u32>,
    #[garde(range(min = 1, max = 1_000_000))]
    queue_lines: Option<u32>,
    #[garde(range(min = 1, max = 256))]
    streams_per_client: Option<u32>,
    #[garde(range(min = 1, max = 65_536))]
    connections: Option<u32>,
    #[garde(range(min = 1, max = 3600))]
    header_timeout_secs: Option<u32>,
    #[garde(range(min = 1, max = 3600))]
    request_timeout_secs: Option<u32>,
    #[garde(range(min = 0, max = 3600))]
    grace_secs: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsFile {
    certificate: PathBuf,
    key: PathBuf,
    client_authority: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, Validate)]
#[serde(deny_unknown_fields, default)]
struct AlertsFile {
    #[garde(skip)]
    url: Option<String>,
    #[garde(skip)]
    channel: Option<ChannelName>,
    #[garde(range(min = 0, max = 10))]
    min_risk: Option<u8>,
    #[garde(skip)]
    routing_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TracesFile {
    otlp_endpoint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogFile {
    level: Option<String>,
    format: Option<LogFormat>,
}

impl ServeArgs {
    /// Takes from the file what neither flags nor the environment said.
    ///
    /// # Errors
    /// A file that cannot be read, with line and column of what is wrong in it.
    pub fn with_file(self) -> anyhow::Result<Self> {
        let Some(path) = self.config.clone() else { return Ok(self) };
        // The arguments again, this time with where each came from.
        let matches = Cli::command().get_matches();
        let given = matches.subcommand_matches("serve");
        self.over(read(&path)?, given)
    }

    /// The settings of a file alone, for `logrisk check`.
    ///
    /// # Errors
    /// As [`Self::with_file`].
    pub fn of_file(path: &Path) -> anyhow::Result<Self> {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            serve: ServeArgs,
        }
        let defaults = <Defaults as clap::Parser>::try_parse_from(["serve"])?.serve;
        defaults.over(read(path)?, None)
    }

    fn over(mut self, file: File, given: Option<&ArgMatches>) -> anyhow::Result<Self> {
        let given = |name: &str| {
            let source = given.and_then(|given| given.value_source(name));
            matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
        };
        /// Plain fields take the file's value, optional ones become it.
        macro_rules! take {
            ($section:expr => $($field:ident $(=> $own:ident)?),* $(,)?) => {
                $(take!(@one $section, $field $(, $own)?);)*
            };
            (@one $section:expr, $field:ident) => { take!(@one $section, $field, $field); };
            (@one $section:expr, $field:ident, $own:ident) => {
                if let Some(value) = $section.$field && !given(stringify!($own)) {
                    self.$own = value.into();
                }
            };
        }
        let File { serve, engine, alerts, traces, log, .. } = file;
        take!(serve => host, port, data_dir, keys, allowed_origins, body_mebibytes, bodies_mebibytes, queue_lines,
            streams_per_client, connections, header_timeout_secs, request_timeout_secs, grace_secs);
        take!(alerts => url => alert_url, channel => alert_channel, routing_key => alert_routing_key);
        take!(traces => otlp_endpoint);
        take!(log => level => log_level, format => log_format);
        if let Some(tls) = serve.tls
            && !given("tls_certificate")
        {
            self.tls_certificate = Some(tls.certificate);
            self.tls_key = Some(tls.key);
            self.tls_client_authority = self.tls_client_authority.or(tls.client_authority);
        }
        if let Some(risk) = alerts.min_risk
            && !given("alert_min_risk")
        {
            self.alert_min_risk = Risk::new(risk)?;
        }
        engine.fill(&mut self.engine, given);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;

    /// The place of the error, and words that its sentence must have.
    fn refuses(yaml: &str, place: &str, words: &[&str]) {
        let (found, reason) = parse::<File>(yaml).unwrap_err();
        assert_eq!(found, place, "{reason}");
        for word in words {
            assert!(reason.contains(word), "{reason:?} does not tell {word:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        refuses("serve:\n  prot: 8000\n", ":2:3", &["prot"]);
        refuses("serve:\n  port: many\n", ":2:9", &[]);
        refuses("serve:\n  port: 70000\n", ":2:9", &[]);
        refuses("serve:\n  grace_secs: 10\n  body_mebibytes: 0\n", ":3:19", &["body_mebibytes"]);
        refuses("alerts:\n  min_risk: 11\n", ":2:13", &["min_risk"]);
        refuses(
            "serve:\n  keys:\n    - name: ops\n      scopes: [read]\n      sha256: abc\n",
            ":5:15",
            &["sha256sum"],
        );
        refuses("serve: [\n", ":1:8", &[]);
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let file = ServeArgs::of_file(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/logrisk.yaml")))
            .unwrap();
        let empty = tempfile::NamedTempFile::new().unwrap();
        let defaults = ServeArgs::of_file(empty.path()).unwrap();
        assert_eq!(format!("{file:?}"), format!("{defaults:?}"));
    }
}
