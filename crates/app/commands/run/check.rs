//! Whether a data plane would start: told before one is stopped for it.

use anyhow::Context as _;
use logrisk_collect::{Docker, Forward, Http, Journald, Kafka, Otlp, Syslog};
use logrisk_sink::{Elastic, Lines, Snapshot};

use super::{
    open::Origin,
    plane::Plane,
    settings::{SinkSettings, SourceSettings},
};

impl Plane {
    /// Whether what the settings name is there: folders that can be written to, servers that answer.
    pub async fn check(&self) -> Vec<(String, anyhow::Result<String>)> {
        let mut findings = Vec::new();
        let data = self.run.data_dir();
        let made =
            std::fs::create_dir_all(data).with_context(|| format!("could not make {}", data.display()));
        findings.push(("data folder".to_owned(), made.map(|()| data.display().to_string())));
        for (name, source) in &self.sources {
            let Origin::Source(source) = source else { continue };
            let found = match &**source {
                SourceSettings::Docker(settings) => Docker::check(settings).await,
                SourceSettings::Elastic(settings) => logrisk_collect::Elastic::check(settings).await,
                SourceSettings::Forward(settings) => Forward::check(settings).await,
                SourceSettings::Http(settings) => Http::check(settings).await,
                SourceSettings::Journald(settings) => Journald::check(settings),
                SourceSettings::Otlp(settings) => Otlp::check(settings).await,
                SourceSettings::Syslog(settings) => Syslog::check(settings).await,
                SourceSettings::Kafka(settings) => Kafka::check(settings).await,
                _ => continue,
            };
            findings.push((format!("source {name}"), found.map_err(anyhow::Error::from)));
        }
        for (name, sink) in &self.sinks {
            let found = match sink {
                SinkSettings::Stdout | SinkSettings::Prometheus(_) => continue,
                SinkSettings::Elastic(settings) => match Elastic::open(settings.clone()) {
                    Ok(elastic) => elastic.check().await.map_err(anyhow::Error::from),
                    Err(error) => Err(anyhow::Error::msg(error)),
                },
                SinkSettings::Kafka(settings) => {
                    logrisk_sink::Kafka::check(settings).await.map_err(anyhow::Error::from)
                }
                SinkSettings::Snapshot(settings) => {
                    Snapshot::check(settings).await.map_err(anyhow::Error::msg)
                }
                SinkSettings::Otlp(settings) => match logrisk_sink::Otlp::open(settings.clone()) {
                    Ok(otlp) => otlp.check().await.map_err(anyhow::Error::from),
                    Err(error) => Err(anyhow::Error::msg(error)),
                },
                SinkSettings::File(settings) => Lines::file(settings.clone())
                    .map(|_| settings.path.display().to_string())
                    .with_context(|| format!("could not open {}", settings.path.display())),
            };
            findings.push((format!("sink {name}"), found));
        }
        findings
    }
}
