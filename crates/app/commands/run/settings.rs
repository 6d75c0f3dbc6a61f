//! The settings of the data plane: what comes from where, and goes where.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::bail;
use garde::Validate;
use logrisk_collect::{
    DockerSettings, ForwardSettings, HttpSettings, JournaldSettings, KafkaSettings, OtlpSettings,
    SyslogSettings, TailSettings,
};
use logrisk_sink::{
    ElasticSettings, FileSettings, OtlpSettings as OtlpSinkSettings, PrometheusSettings, SnapshotSettings,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_saphyr::Spanned;

use super::routes::RouteSettings;
use crate::{
    log::LogFormat,
    settings::{EngineSettings, place, read},
};

/// A settings file, as far as `logrisk run` reads it. Unknown fields are refused, since a misspelt setting must not go
/// unnoticed; the sections of `logrisk serve` may be there.
#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where records come from, by names of your own.
    #[garde(length(min = 1), dive)]
    pub sources: BTreeMap<String, SourceSettings>,
    /// Where they go, by names of your own.
    #[garde(dive)]
    #[serde(default)]
    pub sinks: BTreeMap<String, SinkSettings>,
    /// Which records go to which sink; a sink that no route names gets all.
    #[garde(dive)]
    #[serde(default)]
    pub routes: Vec<RouteSettings>,
    #[garde(dive)]
    #[serde(default)]
    pub run: RunSettings,
    #[garde(dive)]
    #[serde(default)]
    pub engine: EngineSettings,
    #[garde(skip)]
    #[serde(default)]
    pub log: LogSettings,
    #[garde(skip)]
    #[serde(default, rename = "serve")]
    _serve: IgnoredAny,
    #[garde(skip)]
    #[serde(default, rename = "alerts")]
    _alerts: IgnoredAny,
    #[garde(skip)]
    #[serde(default, rename = "traces")]
    _traces: IgnoredAny,
}

/// One source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum SourceSettings {
    /// Standard input, to its end.
    Stdin,
    /// Docker's containers, by its socket.
    Docker(#[garde(dive)] DockerSettings),
    /// Documents of Elasticsearch or OpenSearch.
    Elastic(#[garde(dive)] logrisk_collect::ElasticSettings),
    /// The Fluent forward protocol.
    Forward(#[garde(dive)] ForwardSettings),
    /// What is pushed over HTTP: lines, Elasticsearch's bulk API, Loki's, Splunk's.
    Http(#[garde(dive)] HttpSettings),
    /// systemd's journal.
    Journald(#[garde(dive)] JournaldSettings),
    /// Topics of Kafka, shared by the members of a group.
    Kafka(#[garde(dive)] KafkaSettings),
    /// Logs of OpenTelemetry's SDKs and Collector.
    Otlp(#[garde(dive)] OtlpSettings),
    /// Syslog over UDP, TCP and TLS.
    Syslog(#[garde(dive)] SyslogSettings),
    /// Files, followed as they grow and rotate.
    Tail(#[garde(dive)] TailSettings),
}

/// One sink.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum SinkSettings {
    /// JSON lines on standard output.
    Stdout,
    /// Elasticsearch or OpenSearch.
    Elastic(#[garde(dive)] ElasticSettings),
    /// A topic of Kafka.
    Kafka(#[garde(dive)] logrisk_sink::KafkaSettings),
    /// Labelled CSV in S3, GCS, Azure or a folder.
    Snapshot(#[garde(dive)] SnapshotSettings),
    /// An OpenTelemetry Collector, or whatever else takes OTLP.
    Otlp(#[garde(dive)] OtlpSinkSettings),
    /// JSON lines at the end of a file.
    File(#[garde(dive)] FileSettings),
    /// Counters for Prometheus, at `run.address` or the server's `/metrics`.
    Prometheus(#[garde(dive)] PrometheusSettings),
}

/// The data plane as a whole.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct RunSettings {
    /// Folder for checkpoints and buffers, `/var/lib/logrisk` if absent; a server beside the data plane uses its own instead. Keep
    /// it: without it everything is read again.
    #[garde(skip)]
    pub data_dir: Option<PathBuf>,
    /// Where to answer `/metrics`, `/livez` and `/readyz`: `127.0.0.1:9598`; nowhere if absent. A server beside it does that itself.
    #[garde(skip)]
    pub address: Option<SocketAddr>,
    /// Folder for records that a sink refused for good; without it they are counted and lost.
    #[garde(skip)]
    pub dead_letter: Option<PathBuf>,
    /// Names of sinks that nobody waits for. A source is told that a record is done without them; where one is away or 10,000
    /// records behind, further records are counted and not handed to it.
    #[garde(skip)]
    pub optional_sinks: Vec<Spanned<String>>,
    /// Records between sources and sinks. When it is full, sources wait.
    #[garde(range(min = 1, max = 2048))]
    pub in_flight_mebibytes: u32,
    /// How long sinks may go on after the signal to end.
    #[garde(range(min = 0, max = 3600))]
    pub grace_secs: u32,
    /// Also take out personal data: e-mail addresses and card numbers. Secrets are always taken out.
    #[garde(skip)]
    pub redact_personal: bool,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            data_dir: None,
            address: None,
            dead_letter: None,
            optional_sinks: Vec::new(),
            in_flight_mebibytes: 64,
            grace_secs: 20,
            redact_personal: false,
        }
    }
}

impl RunSettings {
    /// The folder for checkpoints.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new("/var/lib/logrisk"))
    }
}

/// The log of logrisk itself, on standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Settings {
    /// Reads and validates a settings file for `logrisk run`.
    ///
    /// # Errors
    /// The file cannot be read, or what is wrong in it, with line and column.
    pub fn of_file(path: &Path) -> anyhow::Result<Self> {
        let settings = Self::beside_server(path)?;
        let name = path.display();
        if settings.sinks.is_empty() {
            bail!(
                "settings {name}: there are no sinks; only `logrisk serve`, which shows records on its page, can do without"
            );
        }
        let counts = settings.sinks.values().any(|sink| matches!(sink, SinkSettings::Prometheus(_)));
        if counts && settings.run.address.is_none() {
            bail!("settings {name}: the sink prometheus needs an address where it is read: run.address");
        }
        Ok(settings)
    }

    /// Reads and validates the same for a data plane within `logrisk serve`, whose page is a sink of its own.
    ///
    /// # Errors
    /// As [`Self::of_file`].
    pub fn beside_server(path: &Path) -> anyhow::Result<Self> {
        let settings: Self = read(path)?;
        let name = path.display();
        for route in &settings.routes {
            if let Some(to) = route.to.iter().find(|to| !settings.sinks.contains_key(&to.value)) {
                let known = settings.sinks.keys().collect::<Vec<_>>();
                let place = place(to.referenced);
                bail!("settings {name}{place}: there is no sink {:?}; there are {known:?}", to.value);
            }
            if let Some(from) = route.from.iter().find(|from| !settings.sources.contains_key(&from.value)) {
                let known = settings.sources.keys().collect::<Vec<_>>();
                let place = place(from.referenced);
                bail!("settings {name}{place}: there is no source {:?}; there are {known:?}", from.value);
            }
        }
        if let Some(sink) =
            settings.run.optional_sinks.iter().find(|sink| !settings.sinks.contains_key(&sink.value))
        {
            let known = settings.sinks.keys().collect::<Vec<_>>();
            let place = place(sink.referenced);
            bail!("settings {name}{place}: there is no sink {:?}; there are {known:?}", sink.value);
        }
        let odd =
            |name: &&String| !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if let Some(wrong) = settings.sources.keys().chain(settings.sinks.keys()).find(odd) {
            bail!("settings {name}: {wrong:?} is to name files; use letters, digits, - and _");
        }
        let stdins = settings.sources.values().filter(|source| matches!(source, SourceSettings::Stdin));
        if stdins.count() > 1 {
            bail!("settings {name}: there is one standard input, and two sources that read it");
        }
        let counting = settings.sinks.values().filter(|sink| matches!(sink, SinkSettings::Prometheus(_)));
        if counting.count() > 1 {
            bail!(
                "settings {name}: two sinks of the kind prometheus would count under one name; make it one"
            );
        }
        Ok(settings)
    }
}
