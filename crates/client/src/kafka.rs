//! How to reach a Kafka cluster: what sources and sinks share of librdkafka's configuration.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use logrisk_flow::Secret;
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
};
use serde::Deserialize;

/// How long `check` waits for a broker's answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Properties that our guarantees hang on.
const OURS: [&str; 8] = [
    "acks",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "metadata.broker.list",
    "request.required.acks",
];

/// Certificates for a cluster that speaks TLS; `{}` trusts the authorities that the system trusts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaTls {
    /// PEM file with the authority of the brokers' certificates, if the system does not know it.
    pub certificate_authority: Option<PathBuf>,
    /// PEM file with our own certificate, for brokers that ask for one.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
    /// The password of the key.
    pub key_password: Option<Secret>,
}

/// A user of the cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSasl {
    /// `SCRAM-SHA-512` (default), `SCRAM-SHA-256` or `PLAIN`.
    #[serde(default)]
    pub mechanism: Mechanism,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: Secret,
}

/// How a password is proved.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub enum Mechanism {
    /// As it is: only with TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Salted, by SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    Sha256,
    /// Salted, by SHA-512.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    Sha512,
}

/// The value of one of librdkafka's own properties.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Property {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
    /// A password.
    Secret(Secret),
}

/// Properties by their names, as in librdkafka's CONFIGURATION.md.
pub type Properties = BTreeMap<String, Property>;

/// Refuses properties that losing nothing depends on, and passwords that are written down.
///
/// # Errors
/// The property and what to do instead.
pub fn are_free(properties: &Properties, _: &()) -> garde::Result {
    for (name, value) in properties {
        if OURS.contains(&&**name) {
            return Err(garde::Error::new(format!(
                "{name} is not to be changed: losing nothing depends on it, or another setting has its value"
            )));
        }
        if name.ends_with("password") && !matches!(value, Property::Secret(_)) {
            return Err(garde::Error::new(format!(
                "{name} is a secret: write {{env: NAME}} or {{file: PATH}}"
            )));
        }
    }
    Ok(())
}

/// The way to a cluster, and who we are there.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// Addresses to begin with, as `kafka-1:9092`.
    pub brokers: &'a [String],
    /// Certificates, if the cluster speaks TLS.
    pub tls: Option<&'a KafkaTls>,
    /// The user, if it asks for one.
    pub sasl: Option<&'a KafkaSasl>,
    /// What the settings add; they win over `own`.
    pub properties: &'a Properties,
}

impl Cluster<'_> {
    /// The configuration of a client with these properties of its own.
    ///
    /// # Errors
    /// A sentence about a secret that is missing or a property that librdkafka refuses.
    pub fn config(&self, own: &[(&str, &str)]) -> Result<ClientConfig, String> {
        let mut config = ClientConfig::new();
        config.set("client.id", "logrisk").set("bootstrap.servers", self.brokers.join(","));
        for (name, value) in own {
            config.set(*name, *value);
        }
        config.set(
            "security.protocol",
            match (self.tls, self.sasl) {
                (None, None) => "plaintext",
                (Some(_), None) => "ssl",
                (None, Some(_)) => "sasl_plaintext",
                (Some(_), Some(_)) => "sasl_ssl",
            },
        );
        if let Some(tls) = self.tls {
            // OpenSSL is built in and does not know where this system keeps its authorities; `probe` looks.
            let authority = tls.certificate_authority.as_ref();
            config.set("ssl.ca.location", authority.map_or("probe".into(), |path| path.to_string_lossy()));
            for (name, path) in
                [("ssl.certificate.location", &tls.certificate), ("ssl.key.location", &tls.key)]
            {
                if let Some(path) = path {
                    config.set(name, path.to_string_lossy());
                }
            }
            if let Some(password) = &tls.key_password {
                config.set("ssl.key.password", password.reveal()?);
            }
        }
        if let Some(sasl) = self.sasl {
            let mechanism = match sasl.mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::Sha256 => "SCRAM-SHA-256",
                Mechanism::Sha512 => "SCRAM-SHA-512",
            };
            config.set("sasl.mechanism", mechanism).set("sasl.username", &sasl.user);
            config.set("sasl.password", sasl.password.reveal()?);
        }
        for (name, value) in self.properties {
            let value = match value {
                Property::Flag(flag) => flag.to_string(),
                Property::Number(number) => number.to_string(),
                Property::Text(text) => text.clone(),
                Property::Secret(secret) => secret.reveal()?,
            };
            config.set(name, value);
        }
        config.create_native_config().map_err(|error| sentence(&error))?;
        Ok(config)
    }

    /// Asks the cluster for these topics; a name that begins with `^` is a pattern and cannot be asked for.
    ///
    /// # Errors
    /// Why no broker answered, or which topic is not there.
    pub fn check(&self, topics: &[String]) -> Result<String, String> {
        let config = self.config(&[])?;
        let client: BaseConsumer<Listening> =
            config.create_with_context(Listening::default()).map_err(|error| sentence(&error))?;
        let mut found = Vec::new();
        let mut brokers = 0;
        let named = topics.iter().filter(|topic| !topic.starts_with('^')).map(|topic| Some(topic.as_str()));
        for topic in named.chain([None]) {
            if topic.is_none() && brokers > 0 {
                break;
            }
            let metadata = client
                .fetch_metadata(topic, ANSWER)
                .map_err(|error| client.context().cause(&client, &error))?;
            brokers = metadata.brokers().len();
            let Some(asked) = topic else { break };
            let told = metadata.topics().iter().find(|told| told.name() == asked);
            let partitions = told.map_or(0, |told| told.partitions().len());
            if partitions == 0 {
                return Err(format!("the cluster has no topic {asked}, or does not show it to this user"));
            }
            found.push(format!("{asked} has {partitions} partitions"));
        }
        found.insert(0, format!("{brokers} brokers"));
        Ok(found.join(", "))
    }
}

/// What is wrong, without the value that a property has: it may be a password.
#[must_use]
pub fn sentence(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, name, _) => format!("Kafka's property {name}: {reason}"),
        KafkaError::ClientCreation(reason) => format!("the Kafka client does not start: {reason}"),
        other => other.to_string(),
    }
}

/// Passes a line of librdkafka's log on. What it calls an error is mended by trying again, so it is a warning here.
pub fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, "Kafka: {line}"),
        RDKafkaLogLevel::Notice => tracing::info!(facility, "Kafka: {line}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "Kafka: {line}"),
    }
}

/// A client that only logs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    // The log says the same, and less often.
    fn error(&self, _: KafkaError, _: &str) {}
}

/// A client that keeps what was last said of an error, which the error itself does not tell.
#[derive(Debug, Default)]
struct Listening(Mutex<Option<String>>);

impl ClientContext for Listening {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, reason: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first names the cause; later ones say that no broker is left.
        kept.get_or_insert_with(|| reason.to_owned());
    }
}

impl ConsumerContext for Listening {}

impl Listening {
    fn cause(&self, client: &BaseConsumer<Self>, error: &KafkaError) -> String {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(1) && client.poll(Duration::from_millis(100)).is_some() {}
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        reason.unwrap_or_else(|| sentence(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster<'a>(brokers: &'a [String], properties: &'a Properties) -> Cluster<'a> {
        Cluster { brokers, tls: None, sasl: None, properties }
    }

    #[test]
    fn compression_tls_and_scram_are_built_in() {
        let brokers = ["localhost:9092".to_owned()];
        let sasl = KafkaSasl {
            mechanism: Mechanism::Sha256,
            user: "u".to_owned(),
            password: Secret::Env("PATH".to_owned()),
        };
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            let properties =
                Properties::from([("compression.type".to_owned(), Property::Text(codec.to_owned()))]);
            let tls = KafkaTls::default();
            let cluster = Cluster { tls: Some(&tls), sasl: Some(&sasl), ..cluster(&brokers, &properties) };
            let config = cluster.config(&[]).unwrap();
            assert!(config.create::<rdkafka::producer::BaseProducer>().is_ok(), "{codec}");
        }
    }

    #[test]
    fn a_wrong_property_is_named_without_its_value() {
        let brokers = ["localhost:9092".to_owned()];
        let properties = Properties::from([("no.such".to_owned(), Property::Text("hush".to_owned()))]);
        let error = cluster(&brokers, &properties).config(&[]).unwrap_err();
        assert!(error.contains("no.such") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn what_nothing_lost_depends_on_is_not_to_be_set() {
        let one = |name: &str, value: Property| Properties::from([(name.to_owned(), value)]);
        assert!(are_free(&one("session.timeout.ms", Property::Number(6000)), &()).is_ok());
        assert!(are_free(&one("enable.auto.offset.store", Property::Flag(true)), &()).is_err());
        assert!(are_free(&one("ssl.key.password", Property::Text("x".to_owned())), &()).is_err());
        assert!(
            are_free(&one("ssl.key.password", Property::Secret(Secret::Env("X".to_owned()))), &()).is_ok()
        );
    }

    #[test]
    fn a_cluster_that_is_away_is_named() {
        let brokers = ["127.0.0.1:1".to_owned()];
        let error = cluster(&brokers, &Properties::new()).check(&["logs".to_owned()]).unwrap_err();
        assert!(error.contains("127.0.0.1:1"), "{error}");
    }
}
