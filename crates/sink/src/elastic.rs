//! Elasticsearch and OpenSearch, by their bulk API.
//!
//! ```text
//! events ─► bulk body ─► one of the hosts ─► for each item: done, again (429, 5xx, blocked), refused (400)
//! ```
//! A document's id is its record's, so that a redelivery writes the same document again: an index is overwritten, a data
//! stream answers 409, which is as good. One bad document is refused alone; its neighbours are written.

mod bulk;
mod template;

use std::{path::PathBuf, time::Duration};

use garde::Validate;
use jiff::{Timestamp, fmt::strtime};
use logrisk_base::Risk;
use logrisk_client::elastic::{
    Body, Client, Cluster, Method, StatusCode, Unavailable, head, is_address, unavailable,
};
use logrisk_flow::{Event, Secret};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::{Gather, Sink, SinkError, Written};

use bulk::Bulk;

/// Settings of an `elastic` sink.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ElasticSettings {
    /// Addresses of nodes, as `https://es-1:9200`; used in turns, and those that do not answer are passed over.
    #[garde(length(min = 1), inner(custom(is_address)))]
    pub hosts: Vec<String>,
    /// A user and a password.
    #[garde(skip)]
    pub user: Option<String>,
    /// The user's password.
    #[garde(skip)]
    pub password: Option<Secret>,
    /// An API key, as Kibana shows it encoded; instead of a user.
    #[garde(skip)]
    pub api_key: Option<Secret>,
    /// PEM file with the authority of the servers' certificates, if the system does not know it.
    #[garde(skip)]
    pub certificate_authority: Option<PathBuf>,
    /// Index of documents, by the record's time.
    #[garde(custom(is_pattern))]
    #[serde(default = "default_index")]
    pub index: String,
    /// A data stream instead of indices.
    #[garde(skip)]
    pub data_stream: Option<String>,
    /// A second index for records from `risky_from` on, by their time.
    #[garde(inner(custom(is_pattern)))]
    pub risky_index: Option<String>,
    /// The lowest risk of the second index.
    #[garde(skip)]
    #[serde(default = "seven")]
    pub risky_from: Risk,
    /// Whether scores are written into the documents that an `elastic` source has read, as fields below `logrisk`. Records of
    /// other sources are written as usual.
    #[garde(skip)]
    #[serde(default)]
    pub update: bool,
    /// Whether to install index templates, and a life cycle that deletes after `keep_days`.
    #[garde(skip)]
    #[serde(default = "yes")]
    pub install_templates: bool,
    /// After so many days indices are deleted.
    #[garde(range(min = 1, max = 36500))]
    #[serde(default = "thirty")]
    pub keep_days: u32,
    /// Largest body of a request.
    #[garde(range(min = 1, max = 90))]
    #[serde(default = "five")]
    pub body_mebibytes: u32,
    /// Requests at the same time.
    #[garde(range(min = 1, max = 64))]
    #[serde(default = "two")]
    pub requests: u32,
    /// How long a request may take.
    #[garde(range(min = 1, max = 600))]
    #[serde(default = "sixty")]
    pub timeout_secs: u32,
}

fn default_index() -> String {
    "logs-scored-%Y.%m.%d".to_owned()
}

const fn seven() -> Risk {
    match Risk::new(7) {
        Ok(risk) => risk,
        Err(_) => Risk::MAX,
    }
}

const fn yes() -> bool {
    true
}

const fn thirty() -> u32 {
    30
}

/// 5 MiB: Elastic's own shippers send about as much, and a redelivery repeats no more.
const fn five() -> u32 {
    5
}

const fn two() -> u32 {
    2
}

const fn sixty() -> u32 {
    60
}

fn is_pattern(text: &str, _: &()) -> garde::Result {
    let name = strtime::format(text, Timestamp::UNIX_EPOCH)
        .map_err(|error| garde::Error::new(format!("{text:?} is no index by time: {error}")))?;
    let refused = |letter: char| letter.is_uppercase() || "\\/*?\"<>| ,#:".contains(letter);
    if name.is_empty() || name.starts_with(['-', '_', '+']) || name.contains(refused) {
        return Err(garde::Error::new(format!("{name:?} is no name that an index may have")));
    }
    Ok(())
}

impl From<Unavailable> for SinkError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.0)
    }
}

/// Writes to Elasticsearch or OpenSearch.
pub struct Elastic {
    settings: ElasticSettings,
    client: Client,
    installed: OnceCell<()>,
}

impl Elastic {
    /// A sink with these settings. Nothing is sent yet: a server that is down now is waited for.
    ///
    /// # Errors
    /// A sentence about a secret or a certificate that is missing.
    pub fn open(settings: ElasticSettings) -> Result<Self, String> {
        let client = Client::open(&Cluster {
            hosts: &settings.hosts,
            user: settings.user.as_deref(),
            password: settings.password.as_ref(),
            api_key: settings.api_key.as_ref(),
            certificate_authority: settings.certificate_authority.as_deref(),
            timeout: Duration::from_secs(u64::from(settings.timeout_secs)),
        })?;
        let installed = OnceCell::new_with((!settings.install_templates).then_some(()));
        Ok(Self { settings, client, installed })
    }

    /// Asks the first host that answers what it is, with the credentials of the settings.
    ///
    /// # Errors
    /// Why none answered.
    pub async fn check(&self) -> Result<String, SinkError> {
        Ok(self.client.server().await?.to_string())
    }

    /// Sends a bulk body and gives the answer's text.
    async fn send(&self, body: Body) -> Result<Vec<u8>, SinkError> {
        // Of what was written well, only the status is of interest.
        let path = "/_bulk?filter_path=errors,items.*.status,items.*.error";
        let (status, text) =
            self.client.send(Method::POST, path, Some(("application/x-ndjson", body))).await?;
        match status {
            StatusCode::OK => Ok(text),
            // What is wrong with it shows in halves.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST => {
                Err(SinkError::TooLarge(format!("{status}: {}", head(&text))))
            }
            _ => Err(unavailable(status, &text).into()),
        }
    }
}

impl Sink for Elastic {
    fn gather(&self) -> Gather {
        Gather {
            // Documents are about twice the size of records; the body's own bound is kept by `Bulk`.
            bytes: (self.settings.body_mebibytes as usize) << 19,
            events: 20_000,
            linger: Duration::from_millis(100),
            writes: self.settings.requests as usize,
        }
    }

    async fn write(&self, events: &[Event<'_>]) -> Result<Written, SinkError> {
        self.installed.get_or_try_init(|| template::install(&self.client, &self.settings)).await?;
        let bulk = tokio::task::block_in_place(|| Bulk::new(&self.settings, events));
        if bulk.body.len() > (self.settings.body_mebibytes as usize) << 20 && events.len() > 1 {
            return Err(SinkError::TooLarge("the body is over body_mebibytes".to_owned()));
        }
        let answer = self.send(bulk.body.into()).await?;
        bulk::fates(&answer, &bulk.owners)
    }
}
