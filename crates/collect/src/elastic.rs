//! Documents of Elasticsearch and OpenSearch, from the last seen on: once, or again and again.
//!
//! ```text
//! cursor − late_secs … now ─► pages (PIT and search_after) ─► not seen lately? ─► Outlet
//!    ▲                                                                              │
//!    └────────────── stored, when every sink has the pages up to there ◄────────────┘
//! ```
//! A document may become visible after others of a later time: shippers are late, indices refresh in their own time. So each
//! pass begins `late_secs` before the cursor and leaves out what it has read already. After a restart that stretch is
//! read again: ids are made of index and `_id`, so it overwrites. The future is left for later: one document of the year
//! 2099 must not carry the cursor there.

mod cursor;
mod pages;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use garde::Validate;
use jiff::Timestamp;
use logrisk_client::elastic::{Client, Cluster, Unavailable, is_address};
use logrisk_flow::{Acknowledged, Fields, Origin, Outcome, Outlet, Record, RecordId, Secret, delays};
use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{Source, SourceError, object::Told};

use cursor::Cursor;
use pages::{Hit, Pages, Stretch};

/// Settings of an `elastic` source.
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
    /// Indices and data streams to read, as `logs-*` or `logs-app,logs-web`.
    #[garde(custom(is_index))]
    pub index: String,
    /// The field of a document's time. Documents without it are not read.
    #[garde(length(min = 1))]
    #[serde(default = "timestamp")]
    pub time_field: String,
    /// A query that documents must match, as `{term: {service.name: shop}}`.
    #[garde(skip)]
    pub query: Option<serde_json::Value>,
    /// The first time, only so many of the newest documents; otherwise all.
    #[garde(range(min = 1, max = 10_000_000))]
    pub last: Option<u32>,
    /// Looks again after so long; without it the source ends when it has read what there is.
    #[garde(range(min = 1, max = 86_400))]
    pub every_secs: Option<u32>,
    /// How much later than others a document of their time may become visible.
    #[garde(range(min = 0, max = 86_400))]
    #[serde(default = "sixty")]
    pub late_secs: u32,
    /// How long a request may take.
    #[garde(range(min = 1, max = 600))]
    #[serde(default = "sixty")]
    pub timeout_secs: u32,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

fn timestamp() -> String {
    "@timestamp".to_owned()
}

const fn sixty() -> u32 {
    60
}

/// It becomes part of an address.
fn is_index(text: &str, _: &()) -> garde::Result {
    let odd =
        |letter: char| letter.is_uppercase() || letter.is_whitespace() || "\\/?\"<>|#%&".contains(letter);
    if text.is_empty() || text.starts_with('_') || text.contains(odd) {
        return Err(garde::Error::new(format!("{text:?} names no index; write logs-* or logs-app,logs-web")));
    }
    Ok(())
}

/// Reads documents.
#[derive(Debug)]
pub struct Elastic {
    name: String,
    settings: ElasticSettings,
    cursor: PathBuf,
}

impl Elastic {
    /// The source of that name, with its cursor in a file of its own in `folder`.
    #[must_use]
    pub fn new(name: &str, settings: ElasticSettings, folder: &Path) -> Self {
        Self { name: name.to_owned(), settings, cursor: folder.join(format!("{name}.json")) }
    }

    /// Asks the first host that answers what it is, with the credentials of the settings.
    ///
    /// # Errors
    /// Why none answered.
    pub async fn check(settings: &ElasticSettings) -> Result<String, SourceError> {
        let server = client(settings).map_err(SourceError::Settings)?.server().await;
        server.map(|server| server.to_string()).map_err(|error| SourceError::Settings(error.0))
    }
}

fn client(settings: &ElasticSettings) -> Result<Client, String> {
    Client::open(&Cluster {
        hosts: &settings.hosts,
        user: settings.user.as_deref(),
        password: settings.password.as_ref(),
        api_key: settings.api_key.as_ref(),
        certificate_authority: settings.certificate_authority.as_deref(),
        timeout: Duration::from_secs(u64::from(settings.timeout_secs)),
    })
}

impl Source for Elastic {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings, cursor } = self;
        let client = client(&settings).map_err(SourceError::Settings)?;
        let every = settings.every_secs.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let mut reader = Reader {
            cursor: Cursor::open(cursor)?,
            name,
            settings: Arc::new(settings),
            client: Arc::new(client),
            origins: HashMap::new(),
            seen: BTreeSet::new(),
            out: VecDeque::new(),
        };
        let mut pauses = delays();
        loop {
            let passed = tokio::select! {
                passed = reader.pass(&outlet) => passed,
                () = stop.cancelled() => break,
            };
            let pause = match passed {
                Ok(()) => {
                    pauses = delays();
                    let Some(every) = every else { break };
                    every
                }
                Err(Cut::Again(reason)) => {
                    tracing::warn!(source = reader.name, reason, "documents could not be read; trying again");
                    // What was read and did not reach every sink is to be read again.
                    reader.seen.clear();
                    pauses.next().unwrap_or(Duration::from_secs(15))
                }
                Err(Cut::End(error)) => return Err(error),
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        drop(outlet);
        match reader.settle(true).await {
            Err(Cut::End(error)) => Err(error),
            // The next start reads it again.
            Ok(()) | Err(Cut::Again(_)) => reader.cursor.save(true),
        }
    }
}

/// Why a pass ended before its end.
enum Cut {
    /// It is to be repeated.
    Again(String),
    /// A person must mend it.
    End(SourceError),
}

impl From<Unavailable> for Cut {
    fn from(error: Unavailable) -> Self {
        Self::Again(error.0)
    }
}

impl From<SourceError> for Cut {
    fn from(error: SourceError) -> Self {
        Self::End(error)
    }
}

/// The source at work.
struct Reader {
    name: String,
    settings: Arc<ElasticSettings>,
    client: Arc<Client>,
    cursor: Cursor,
    /// What records of one index share.
    origins: HashMap<String, Arc<Origin>>,
    /// Documents of the stretch that passes have in common, by their times in milliseconds.
    seen: BTreeSet<(i64, RecordId)>,
    /// Pages that are out, in order, and the time up to which all is read once they are delivered.
    out: VecDeque<(Acknowledged, i64)>,
}

impl Reader {
    /// Reads what there is, up to now, and waits until the sinks have it.
    async fn pass(&mut self, outlet: &Outlet) -> Result<(), Cut> {
        // Of a pass that was cut off.
        self.out.clear();
        let late = i64::from(self.settings.late_secs) * 1000;
        let now = Timestamp::now().as_millisecond();
        let reached = self.cursor.reached();
        let newest = self.settings.last.filter(|_| reached.is_none());
        let stretch = Stretch { from: reached.map(|reached| reached - late), to: now, newest };
        let (client, settings) = (Arc::clone(&self.client), Arc::clone(&self.settings));
        let mut pages = Pages::open(&client, &settings, stretch).await?;
        while let Some(hits) = pages.next().await? {
            let last = hits.last().map_or(now, |hit| hit.time);
            let records: Vec<_> = hits.into_iter().filter_map(|hit| self.record(hit)).collect();
            if !records.is_empty() {
                let acknowledged = outlet.send(records).await.map_err(|closed| Cut::End(closed.into()))?;
                // Newest first: nothing is known to be read before the end.
                let reaches = if newest.is_some() { i64::MIN } else { last };
                self.out.push_back((acknowledged, reaches));
            }
            self.settle(false).await?;
            if newest.is_none() {
                self.forget_before(last - late);
            }
        }
        pages.close().await;
        self.settle(true).await?;
        // Up to here everything that is visible was read.
        self.cursor.reach(now);
        self.cursor.save(true)?;
        self.forget_before(now - late);
        Ok(())
    }

    /// A hit as a record, unless the pass before had it.
    fn record(&mut self, hit: Hit) -> Option<Record> {
        let id = RecordId::of(format!("elastic {} {} {}", self.name, hit.index, hit.id).as_bytes());
        if !self.seen.insert((hit.time, id)) {
            return None;
        }
        let (name, fields) = (&self.name, &self.settings.fields);
        let origin = self.origins.entry(hit.index).or_insert_with_key(|index| {
            let mut own = Fields::default();
            own.push("elastic.index", index.as_str());
            for (field, value) in fields {
                own.push(field.clone(), value.clone());
            }
            Arc::new(Origin::new(name, own))
        });
        let Told { body, time, level, mut fields } = Told::of(hit.source);
        fields.push("elastic.id", hit.id);
        let time = time.or_else(|| Timestamp::from_millisecond(hit.time).ok());
        Some(Record { id, time, level, body, origin: Arc::clone(origin), fields })
    }

    /// Moves the cursor behind the pages that were delivered; waits for those that are out if asked to.
    async fn settle(&mut self, wait: bool) -> Result<(), Cut> {
        while let Some((acknowledged, reaches)) = self.out.front_mut() {
            match acknowledged.try_outcome() {
                None if wait => {
                    sleep(Duration::from_millis(5)).await;
                    continue;
                }
                None => break,
                Some(Outcome::Failed) => {
                    return Err(Cut::Again("records did not reach every sink".to_owned()));
                }
                Some(Outcome::Delivered | Outcome::Rejected) => self.cursor.reach(*reaches),
            }
            self.out.pop_front();
            self.cursor.save(false)?;
        }
        Ok(())
    }

    fn forget_before(&mut self, time: i64) {
        while self.seen.first().is_some_and(|(first, _)| *first < time) {
            self.seen.pop_first();
        }
    }
}
