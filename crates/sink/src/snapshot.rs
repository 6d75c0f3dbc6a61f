//! Labelled CSV in an object store or a folder: what training, notebooks and archives read.
//!
//! ```text
//! events ─► journal (on our disk, synced) ─► Delivered
//!               │ rolled by size and time
//!               └► CSV ─► upload ─► manifest with SHA-256 ─► journal deleted
//! ```
//! A record is safe once it is in the journal, so sources need not wait for the roll. A rolled journal is uploaded until it
//! is there, also by the next process; its object's name is the journal's, so a repeated upload overwrites. An object
//! appears whole or not at all, and its manifest after it.

mod journal;
mod table;

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use garde::Validate;
use logrisk_flow::{Event, delays};
use object_store::{ObjectStore, ObjectStoreExt as _, buffered::BufWriter, path::Path as ObjectPath};
use serde::Deserialize;
use tokio::{
    io::AsyncWriteExt as _,
    sync::Mutex,
    time::{interval, sleep},
};

use crate::{Gather, Sink, SinkError, Written};

use journal::Journal;

/// Settings of a `snapshot` sink.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SnapshotSettings {
    /// Where to: `s3://bucket/folder`, `gs://…`, `az://…`, or `file:///folder`.
    #[garde(custom(is_url))]
    pub url: String,
    /// Options of the store by its own names, as `aws_region` or `aws_endpoint`. Keys and tokens come from the environment
    /// (`AWS_…`, `GOOGLE_…`, `AZURE_…`), from a web identity or from the instance.
    #[garde(skip)]
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// A row for every record, instead of one for each pattern of the period with its count.
    #[garde(skip)]
    #[serde(default)]
    pub every_line: bool,
    /// How much is gathered before it is uploaded, as it lies on our disk.
    #[garde(range(min = 1, max = 4096))]
    #[serde(default = "thirty_two")]
    pub roll_mebibytes: u32,
    /// How long is gathered before it is uploaded: the period.
    #[garde(range(min = 1, max = 86_400))]
    #[serde(default = "three_hundred")]
    pub roll_secs: u32,
}

const fn thirty_two() -> u32 {
    32
}

const fn three_hundred() -> u32 {
    300
}

fn is_url(text: &str, _: &()) -> garde::Result {
    let valid = reqwest::Url::parse(text);
    valid.map(|_| ()).map_err(|error| {
        garde::Error::new(format!("{text:?} is no s3://, gs://, az:// or file:// ({error})"))
    })
}

/// Part of an upload, and what is held of it in memory.
const PART: usize = 8 << 20;
/// Bytes of one read of the file that is uploaded.
const READ: u64 = 1 << 20;
/// How often the age of the journal is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Writes labelled CSV.
pub struct Snapshot {
    shared: Arc<Shared>,
    uploading: tokio::task::JoinHandle<()>,
}

struct Shared {
    name: String,
    every_line: bool,
    journal: Journal,
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// One upload at a time.
    uploads: Mutex<()>,
}

impl Snapshot {
    /// A sink of that name, with its journals in a folder of its own in `spool`. Must be called on a runtime: uploads are
    /// a task.
    ///
    /// # Errors
    /// A sentence about an option or a folder.
    pub fn open(name: &str, settings: &SnapshotSettings, spool: &Path) -> Result<Self, String> {
        let (store, prefix) = store(settings)?;
        let folder: PathBuf = spool.join(name);
        let journal = Journal::open(
            &folder,
            u64::from(settings.roll_mebibytes) << 20,
            Duration::from_secs(u64::from(settings.roll_secs)),
        )
        .map_err(|error| format!("could not open the journal in {}: {error}", folder.display()))?;
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            every_line: settings.every_line,
            journal,
            store,
            prefix,
            uploads: Mutex::new(()),
        });
        let uploading = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.upload_all_along().await }
        });
        Ok(Self { shared, uploading })
    }

    /// Whether the store can be listed.
    ///
    /// # Errors
    /// What the store says.
    pub async fn check(settings: &SnapshotSettings) -> Result<String, String> {
        let (store, prefix) = store(settings)?;
        store.list_with_delimiter(Some(&prefix)).await.map_err(|error| error.to_string())?;
        Ok(settings.url.clone())
    }
}

fn store(settings: &SnapshotSettings) -> Result<(Arc<dyn ObjectStore>, ObjectPath), String> {
    _ = rustls::crypto::ring::default_provider().install_default();
    let url = reqwest::Url::parse(&settings.url).map_err(|error| error.to_string())?;
    if let ("file", Ok(folder)) = (url.scheme(), url.to_file_path()) {
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("could not make {}: {error}", folder.display()))?;
    }
    let kinds = ["AWS_", "GOOGLE_", "AZURE_"];
    let environment = std::env::vars().filter(|(name, _)| kinds.iter().any(|kind| name.starts_with(kind)));
    let environment = environment.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let options = environment.chain(settings.options.clone());
    let (store, prefix) = object_store::parse_url_opts(&url, options).map_err(|error| error.to_string())?;
    Ok((store.into(), prefix))
}

impl Sink for Snapshot {
    fn gather(&self) -> Gather {
        Gather { bytes: 4 << 20, events: usize::MAX, linger: Duration::from_millis(50), writes: 1 }
    }

    async fn write(&self, events: &[Event<'_>]) -> Result<Written, SinkError> {
        let rows = tokio::task::block_in_place(|| table::rows(events, self.shared.every_line));
        tokio::task::block_in_place(|| self.shared.journal.append(&rows))
            .map(|()| Written::default())
            .map_err(|error| SinkError::Unavailable(format!("could not write the journal: {error}")))
    }

    async fn finish(&self) {
        self.uploading.abort();
        if let Err(error) = self.shared.journal.roll() {
            tracing::warn!(sink = self.shared.name, %error, "the journal stays for the next start");
        }
        self.shared.upload_rolled().await;
    }
}

impl Shared {
    async fn upload_all_along(&self) {
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            if let Err(error) = self.journal.roll_if_due() {
                tracing::error!(sink = self.name, %error, "the journal could not be rolled");
            }
            self.upload_rolled().await;
        }
    }

    /// Uploads all rolled journals, each until it is there.
    async fn upload_rolled(&self) {
        let _one = self.uploads.lock().await;
        for rolled in self.journal.rolled() {
            for pause in delays() {
                match self.upload(&rolled).await {
                    Ok(object) => {
                        tracing::info!(sink = self.name, object = %object, "uploaded");
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(sink = self.name, error, "an upload will be repeated");
                        sleep(pause).await;
                    }
                }
            }
        }
    }

    async fn upload(&self, rolled: &Path) -> Result<ObjectPath, String> {
        let csv = rolled.with_extension("csv");
        let told = |error: std::io::Error| format!("{}: {error}", rolled.display());
        let manifest =
            tokio::task::block_in_place(|| table::build(rolled, &csv, self.every_line)).map_err(told)?;
        let stem = rolled.file_stem().and_then(|stem| stem.to_str()).unwrap_or("journal");
        let date = manifest.from.get(..10).unwrap_or("unknown");
        let folder = self.prefix.clone().join("labelled").join(format!("date={date}"));
        let object = folder.clone().join(format!("{}-{stem}.csv", self.name));
        let mut file = std::fs::File::open(&csv).map_err(told)?;
        let mut writer =
            BufWriter::with_capacity(Arc::clone(&self.store), object.clone(), PART).with_max_concurrency(2);
        loop {
            let mut part = Vec::new();
            tokio::task::block_in_place(|| file.by_ref().take(READ).read_to_end(&mut part)).map_err(told)?;
            if part.is_empty() {
                break;
            }
            if let Err(error) = writer.put(part.into()).await {
                // What was sent of it is invisible; without the abort some stores keep, and charge for, the parts.
                _ = writer.abort().await;
                return Err(error.to_string());
            }
        }
        writer.shutdown().await.map_err(|error| error.to_string())?;
        let json = serde_json::to_vec_pretty(&manifest.of(object.filename().unwrap_or_default()));
        let json = json.map_err(|error| error.to_string())?;
        let beside = folder.join(format!("{}-{stem}.json", self.name));
        self.store.put(&beside, json.into()).await.map_err(|error| error.to_string())?;
        for file in [&csv, rolled] {
            std::fs::remove_file(file).map_err(told)?;
        }
        Ok(object)
    }
}
