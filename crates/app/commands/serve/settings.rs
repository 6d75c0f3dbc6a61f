//! The server's settings: flags, then the environment, then the file, then defaults.
//!
//! The flags are the one list of settings. A file says the same in YAML; what it says holds where neither a flag nor the
//! environment does. `config/logrisk.yaml` is a file with every setting at its default.

mod file;

use std::{convert::Infallible, net::IpAddr, num::NonZeroU32, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use garde::Validate;
use logrisk_base::Risk;
use logrisk_web::{Channel, Key, Scope, TlsFiles};
use serde::Deserialize;

use crate::{
    commands::{
        run,
        score::{EngineArgs, parse_risk},
    },
    log::LogFormat,
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

    /// Streams that one client may have open: one key, or one address where there are no keys
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256), env = "LOGRISK_STREAMS_PER_CLIENT")]
    pub streams_per_client: u32,

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

    /// What receives alerts: slack, discord, pagerduty or webhook; any other word means webhook
    #[arg(long, value_name = "CHANNEL", default_value = "webhook", value_parser = channel, env = "ALERT_CHANNEL")]
    pub alert_channel: ChannelName,

    /// Lines at or above this risk raise alerts, once per pattern in ten minutes
    #[arg(long, value_name = "RISK", default_value = "7", value_parser = parse_risk, env = "ALERT_MIN_RISK_LEVEL")]
    pub alert_min_risk: Risk,

    /// PagerDuty's key of the service
    #[arg(long, value_name = "KEY", env = "PAGERDUTY_ROUTING_KEY", hide_env_values = true)]
    pub alert_routing_key: Option<String>,

    /// OpenTelemetry collector that gets a span of each request, as http://collector:4318
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

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
    /// Another word: the first seed took it for a web hook.
    #[value(skip)]
    #[serde(skip)]
    Unknown,
}

fn channel(text: &str) -> Result<ChannelName, Infallible> {
    Ok(ChannelName::from_str(text.trim(), true).unwrap_or(ChannelName::Unknown))
}

impl From<ChannelName> for Channel {
    fn from(name: ChannelName) -> Self {
        match name {
            ChannelName::Slack => Self::Slack,
            ChannelName::Discord => Self::Discord,
            ChannelName::PagerDuty => Self::PagerDuty,
            ChannelName::Webhook | ChannelName::Unknown => Self::Webhook,
        }
    }
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

impl ServeArgs {
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

    /// The data plane that the settings file describes, if it has sources or sinks.
    ///
    /// # Errors
    /// What is wrong in it, with line and column.
    pub fn data_plane(&self) -> anyhow::Result<Option<run::Settings>> {
        let Some(file) = self.config.as_deref().filter(|file| run::is_for_run(file)) else { return Ok(None) };
        let mut settings = run::Settings::beside_server(file)?;
        settings.run.data_dir = settings.run.data_dir.or_else(|| self.data_dir.clone());
        Ok(Some(settings))
    }

    /// The address of the collector; an empty one is none.
    pub fn otlp_endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref().map(str::trim).filter(|url| !url.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
