//! The server's settings: flags, then the environment, then the file, then defaults.
//!
//! The flags are the one list of settings. A file says the same in YAML; what it says holds where neither a flag nor the
//! environment does. `config/logrisk.yaml` is a file with every setting at its default.

use std::{
    fs,
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context as _;
use clap::{ArgMatches, Args, CommandFactory as _, ValueEnum, parser::ValueSource};
use garde::Validate;
use logrisk_base::Risk;
use logrisk_score::encoder::Precision;
use logrisk_web::{Channel, Key, Scope, TlsFiles};
use serde::{Deserialize, Deserializer, de};

use crate::commands::{
    Cli,
    score::{EngineArgs, parse_risk},
};

/// Serve the API and the page.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  logrisk serve                                     on http://127.0.0.1:8000, forgetting everything at the end
  logrisk serve --data-dir /var/lib/logrisk         patterns and corrections survive
  logrisk serve --config logrisk.yaml --port 9000   settings from a file; flags and LOGRISK_… come first
  printf 'ERROR disk full on /dev/sda1\\n' | curl -H 'Content-Type: text/plain' --data-binary @- localhost:8000/ingest

The end: SIGTERM or Ctrl-C; open requests go on within the grace period. Exit codes: 0 ended in order, 1 failed.")]
pub struct ServeArgs {
    /// Settings as YAML; see config/logrisk.yaml
    #[arg(long, short, value_name = "FILE", env = "LOGRISK_CONFIG")]
    pub config: Option<PathBuf>,

    /// Address to listen on; 0.0.0.0 for all networks, and then with --key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", env = "LOGRISK_HOST")]
    pub host: IpAddr,

    /// Port to listen on
    #[arg(long, short, default_value_t = 8000, env = "LOGRISK_PORT")]
    pub port: u16,

    /// Folder for patterns, corrections and models; without it they are forgotten at the end
    #[arg(long, value_name = "FOLDER", env = "LOGRISK_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// PEM file with the server's certificate and those between it and its authority
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "LOGRISK_TLS_CERTIFICATE")]
    pub tls_certificate: Option<PathBuf>,

    /// PEM file with the certificate's key
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "LOGRISK_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// PEM file with the authorities of clients' certificates: clients without one are refused
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "LOGRISK_TLS_CLIENT_AUTHORITY")]
    pub tls_client_authority: Option<PathBuf>,

    /// A key as NAME:SCOPES:SHA256 or NAME:SCOPES:SHA256:REQUESTS_PER_SECOND, scopes of read+predict+feedback+admin;
    /// with any key, requests without one are refused
    #[arg(
        long = "key",
        value_name = "KEY",
        value_delimiter = ',',
        env = "LOGRISK_KEYS",
        hide_env_values = true
    )]
    pub keys: Vec<KeySetting>,

    /// Another site whose pages may call, as https://dashboard.example
    #[arg(
        long = "allowed-origin",
        value_name = "ORIGIN",
        value_delimiter = ',',
        env = "LOGRISK_ALLOWED_ORIGINS"
    )]
    pub allowed_origins: Vec<String>,

    /// Largest body of a request, as sent and as decompressed
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024), env = "LOGRISK_BODY_MEBIBYTES")]
    pub body_mebibytes: u32,

    /// Bodies of all requests together
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=16384), env = "LOGRISK_BODIES_MEBIBYTES")]
    pub bodies_mebibytes: u32,

    /// Texts that may wait for the model before requests are answered 429
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1_000_000), env = "LOGRISK_QUEUE_LINES")]
    pub queue_lines: u32,

    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=65_536), env = "LOGRISK_CONNECTIONS")]
    pub connections: u32,

    /// How long headers may take, and a connection may idle
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600), env = "LOGRISK_HEADER_TIMEOUT_SECS")]
    pub header_timeout_secs: u32,

    /// How long a body may take to arrive, and an answer to be computed
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600), env = "LOGRISK_REQUEST_TIMEOUT_SECS")]
    pub request_timeout_secs: u32,

    /// How long open requests may go on after the signal to end
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=3600), env = "LOGRISK_GRACE_SECS")]
    pub grace_secs: u32,

    /// Web hook for alerts
    #[arg(long, value_name = "URL", env = "ALERT_WEBHOOK_URL", hide_env_values = true)]
    pub alert_url: Option<String>,

    /// What receives alerts
    #[arg(long, value_enum, value_name = "CHANNEL", default_value_t = ChannelName::Webhook, ignore_case = true, env = "ALERT_CHANNEL")]
    pub alert_channel: ChannelName,

    /// Lines at or above this risk raise alerts, once per pattern in ten minutes
    #[arg(long, value_name = "RISK", default_value = "7", value_parser = parse_risk, env = "ALERT_MIN_RISK_LEVEL")]
    pub alert_min_risk: Risk,

    /// PagerDuty's key of the service
    #[arg(long, value_name = "KEY", env = "PAGERDUTY_ROUTING_KEY", hide_env_values = true)]
    pub alert_routing_key: Option<String>,

    /// What the log says: error, warn, info, debug, or parts as logrisk_web=debug
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "LOGRISK_LOG_LEVEL")]
    pub log_level: String,

    /// How the log is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text, env = "LOGRISK_LOG_FORMAT")]
    pub log_format: LogFormat,

    #[command(flatten)]
    pub engine: EngineArgs,
}

/// What receives alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelName {
    Slack,
    Discord,
    #[value(name = "pagerduty")]
    PagerDuty,
    Webhook,
}

impl From<ChannelName> for Channel {
    fn from(name: ChannelName) -> Self {
        match name {
            ChannelName::Slack => Self::Slack,
            ChannelName::Discord => Self::Discord,
            ChannelName::PagerDuty => Self::PagerDuty,
            ChannelName::Webhook => Self::Webhook,
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// A key: who, what for, and the SHA-256 of its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct KeySetting {
    /// Who.
    #[garde(length(min = 1, max = 64))]
    pub name: String,
    /// What for.
    #[garde(length(min = 1))]
    pub scopes: Vec<ScopeName>,
    /// 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    #[garde(custom(is_digest))]
    pub sha256: String,
    /// How often; as often as it likes if absent.
    #[garde(skip)]
    pub requests_per_second: Option<NonZeroU32>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeName {
    Read,
    Predict,
    Feedback,
    Admin,
}

impl FromStr for KeySetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let (Some(name), Some(scopes), Some(sha256)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("write a key as NAME:SCOPES:SHA256, as in ops:read+feedback:9f86d0…".to_owned());
        };
        let scopes = scopes
            .split('+')
            .map(|scope| match scope {
                "read" => Ok(ScopeName::Read),
                "predict" => Ok(ScopeName::Predict),
                "feedback" => Ok(ScopeName::Feedback),
                "admin" => Ok(ScopeName::Admin),
                _ => Err(format!("scope {scope:?} is unknown; use read, predict, feedback or admin")),
            })
            .collect::<Result<_, _>>()?;
        let requests_per_second = parts
            .next()
            .map(|rate| rate.parse().map_err(|_| format!("{rate:?} is no number of requests per second")))
            .transpose()?;
        let key = Self { name: name.to_owned(), scopes, sha256: sha256.to_owned(), requests_per_second };
        key.validate().map_err(|report| report.to_string().trim().to_owned())?;
        Ok(key)
    }
}

impl KeySetting {
    /// As the server takes it.
    pub fn key(&self) -> Key {
        let scopes = self.scopes.iter().map(|scope| match scope {
            ScopeName::Read => Scope::Read,
            ScopeName::Predict => Scope::Predict,
            ScopeName::Feedback => Scope::Feedback,
            ScopeName::Admin => Scope::Admin,
        });
        let digest = digest(&self.sha256).unwrap_or_default();
        Key::new(&self.name, digest, scopes.collect(), self.requests_per_second)
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn is_digest(text: &str, _: &()) -> garde::Result {
    let remedy = "sha256 has 64 hexadecimal digits; make them with: printf %s \"$KEY\" | sha256sum";
    digest(text).map(|_| ()).ok_or_else(|| garde::Error::new(remedy))
}

/// The settings file. Every field may be left out; unknown ones are refused, since a misspelt setting must not go unnoticed.
#[derive(Debug, Default, Deserialize, Validate)]
#[serde(deny_unknown_fields, default)]
struct File {
    #[garde(dive)]
    serve: ServeFile,
    #[garde(dive)]
    engine: EngineFile,
    #[garde(dive)]
    alerts: AlertsFile,
    #[garde(skip)]
    log: LogFile,
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
struct EngineFile {
    #[garde(skip)]
    model: Option<PathBuf>,
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
        let File { serve, engine, alerts, log } = file;
        take!(serve => host, port, data_dir, keys, allowed_origins, body_mebibytes, bodies_mebibytes, queue_lines,
            connections, header_timeout_secs, request_timeout_secs, grace_secs);
        take!(alerts => url => alert_url, channel => alert_channel, routing_key => alert_routing_key);
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
        let own = &mut self.engine;
        own.model = own.model.take().or(engine.model);
        own.rules = own.rules.take().or(engine.rules);
        own.threads = own.threads.or(engine.threads);
        if let Some(precision) = engine.precision
            && !given("precision")
        {
            own.precision = precision;
        }
        if let Some(tokens) = engine.max_tokens
            && !given("max_tokens")
        {
            own.max_tokens = tokens;
        }
        Ok(self)
    }

    /// The TLS files, if there are any.
    pub fn tls(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: self.tls_certificate.clone()?,
            key: self.tls_key.clone()?,
            client_authority: self.tls_client_authority.clone(),
        })
    }

    /// The address of the web hook; an empty one, as compose files leave it, is none.
    pub fn alert_url(&self) -> Option<&str> {
        self.alert_url.as_deref().map(str::trim).filter(|url| !url.is_empty())
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    let name = path.display();
    let yaml = fs::read_to_string(path).with_context(|| format!("could not read settings {name}"))?;
    parse(&yaml).map_err(|(place, reason)| anyhow::anyhow!("settings {name}{place}: {reason}"))
}

/// Where and what: `:3:9` and a sentence.
fn parse(yaml: &str) -> Result<File, (String, String)> {
    if yaml.trim().is_empty() {
        return Ok(File::default());
    }
    // No snippet: a neighbour of the wrong line may be a secret.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options_valid(yaml, options).map_err(|error| {
        let message = error.to_string();
        let place = error
            .location()
            .map(|location| format!(":{}:{}", location.line(), location.column()))
            .unwrap_or_default();
        let first = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let end = first.find(" at line ").filter(|_| !place.is_empty()).unwrap_or(first.len());
        (place, first.get(..end).unwrap_or(first).trim_start_matches("error: ").to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of the error, and words that its sentence must have.
    fn refuses(yaml: &str, place: &str, words: &[&str]) {
        let (found, reason) = parse(yaml).unwrap_err();
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

    #[test]
    fn keys_are_read_from_one_line() {
        let digest = "9f".repeat(32);
        let key: KeySetting = format!("ops:read+feedback:{digest}:5").parse().unwrap();
        assert_eq!(
            (key.name.as_str(), key.scopes.len(), key.requests_per_second),
            ("ops", 2, NonZeroU32::new(5))
        );
        for wrong in ["ops", "ops:write:00", "ops:read:00", &format!("ops:read:{digest}:fast")] {
            assert!(wrong.parse::<KeySetting>().is_err(), "{wrong}");
        }
    }
}
