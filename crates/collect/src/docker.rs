//! The logs of Docker's containers, by the API of its socket, whatever driver keeps them.
//!
//! ```text
//! /containers/json, twice a second and at /events ─► containers ─► follow: /containers/ID/logs ─► lines ─► Cutter ─► Outlet
//!                                                      ▲ since the last line that every sink has
//!                                   cursors on disk ◄──┘
//! ```
//! A line is known by its container, its nanosecond, and which of those at that nanosecond it is; so what is read again has the
//! ids that it had before. Docker itself keeps the lines that wait.

mod api;
mod cursors;
mod follow;
mod lines;
mod starts;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use garde::Validate;
use glob::Pattern;
use jiff::Timestamp;
use logrisk_flow::{Fields, Origin, Outlet};
use serde::Deserialize;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{Source, SourceError, Start, tail::is_glob};

use api::Api;
use cursors::{Cursor, Cursors};
use follow::{Ended, Followed};
use starts::Starts;

/// How often containers are looked for, and cursors are written.
const LOOK: Duration = Duration::from_millis(500);

/// All containers.
const LIST: &str = "/containers/json?all=1";

/// Settings of a `docker` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct DockerSettings {
    /// Docker's socket, or one that speaks as it does.
    #[garde(skip)]
    #[serde(default = "docker_sock")]
    pub socket: PathBuf,
    /// Only containers with these names, as globs.
    #[garde(inner(custom(is_glob)))]
    #[serde(default)]
    pub containers: Vec<String>,
    /// Containers to leave alone, as globs. The one that logrisk itself runs in always is.
    #[garde(inner(custom(is_glob)))]
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where reading begins in containers that are there when logrisk starts for the first time: `beginning` or `end`.
    #[garde(skip)]
    #[serde(default)]
    pub start: Start,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

fn docker_sock() -> PathBuf {
    "/var/run/docker.sock".into()
}

/// Reads the logs of containers.
#[derive(Debug)]
pub struct Docker {
    name: String,
    settings: DockerSettings,
    checkpoint: PathBuf,
}

/// A container, as the list has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    state: String,
}

impl Docker {
    /// The source of that name, with its cursors in a file of its own in `folder`.
    #[must_use]
    pub fn new(name: &str, settings: DockerSettings, folder: &Path) -> Self {
        Self { name: name.to_owned(), settings, checkpoint: folder.join(format!("{name}.json")) }
    }

    /// Whether the socket answers.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub async fn check(settings: &DockerSettings) -> Result<String, SourceError> {
        let listed = Api::new(&settings.socket).json::<Vec<Listed>>(LIST).await;
        let listed = listed.map_err(SourceError::Settings)?;
        let wanted = Wanted::of(settings);
        let count = listed.iter().filter(|listed| wanted.has(listed)).count();
        Ok(format!("{count} of {} containers are read", listed.len()))
    }
}

impl Source for Docker {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings, checkpoint } = self;
        let cursors = Arc::new(Cursors::open(checkpoint)?);
        let wanted = Wanted::of(&settings);
        let api = Arc::new(Api::new(&settings.socket));
        let fields: Fields = settings.fields.clone().into_iter().collect();
        let mut tasks = JoinSet::new();
        let mut known = Known::default();
        let mut starts = Starts::default();
        let mut leave_out_what_was = settings.start == Start::End && cursors.is_new();
        let mut is_away = false;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = tasks.join_next() => {
                    known.settle(&name, ended)?;
                    continue;
                }
                started = starts.next() => match started {
                    Some(container) => known.started(container),
                    None => continue,
                },
                _ = looks.tick() => {}
            }
            tokio::task::block_in_place(|| cursors.save())?;
            let listed: Vec<Listed> = match api.json(LIST).await {
                Ok(listed) => listed,
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(source = name, error, "Docker does not answer; it is tried again");
                    }
                    continue;
                }
            };
            is_away = false;
            if !starts.is_open() {
                starts = Starts::open(&api).await;
                // Some may have been started and ended meanwhile.
                known.finished.clear();
            }
            cursors.keep(|id| listed.iter().any(|listed| listed.id == id));
            known.keep(&listed);
            for listed in listed.into_iter().filter(|listed| wanted.has(listed)) {
                if !known.begin(&listed) {
                    continue;
                }
                if leave_out_what_was {
                    cursors.set(&listed.id, Cursor::at(Timestamp::now()));
                }
                let container = Followed {
                    origins: origins(&name, &listed, &fields),
                    id: listed.id,
                    api: Arc::clone(&api),
                    cursors: Arc::clone(&cursors),
                };
                let (outlet, stop) = (outlet.clone(), stop.clone());
                tasks.spawn(async move {
                    let ended = container.run(&outlet, &stop).await;
                    (container.id, ended)
                });
            }
            leave_out_what_was = false;
        }
        drop(outlet);
        while let Some(ended) = tasks.join_next().await {
            known.settle(&name, ended)?;
        }
        tokio::task::block_in_place(|| cursors.save())
    }
}

/// What was begun with containers, by their ids.
#[derive(Default)]
struct Known {
    followed: HashSet<String>,
    /// Read to the end, until they are started again.
    finished: HashSet<String>,
    /// Started anew while they were still read to the end.
    again: HashSet<String>,
    /// Their drivers keep no log that could be read.
    unreadable: HashSet<String>,
}

impl Known {
    /// Whether a container is to be followed from now on.
    fn begin(&mut self, listed: &Listed) -> bool {
        let is_over = listed.state != "running" && self.finished.contains(&listed.id);
        !is_over && !self.unreadable.contains(&listed.id) && self.followed.insert(listed.id.clone())
    }

    /// What a container logs from now on comes after what was read.
    fn started(&mut self, container: String) {
        self.finished.remove(&container);
        if self.followed.contains(&container) {
            self.again.insert(container);
        }
    }

    /// Forgets the containers that are gone.
    fn keep(&mut self, listed: &[Listed]) {
        let ids: HashSet<&str> = listed.iter().map(|listed| listed.id.as_str()).collect();
        self.finished.retain(|id| ids.contains(id.as_str()));
        self.unreadable.retain(|id| ids.contains(id.as_str()));
    }

    /// The end of following a container. Unless its log is at an end, the next look begins again.
    fn settle(
        &mut self,
        source: &str,
        ended: Result<(String, Result<(), Ended>), tokio::task::JoinError>,
    ) -> Result<(), SourceError> {
        let (container, ended) = ended.map_err(|panic| SourceError::Settings(panic.to_string()))?;
        self.followed.remove(&container);
        match ended {
            Ok(()) if self.again.remove(&container) => {}
            Ok(()) => _ = self.finished.insert(container),
            Err(Ended::Unreadable(error)) => {
                tracing::warn!(source, container, error, "a container's log cannot be read");
                self.unreadable.insert(container);
            }
            Err(Ended::Again(error)) => {
                tracing::warn!(
                    source,
                    container,
                    error,
                    "a container's log is read again from what every sink has"
                );
            }
            Err(Ended::Closed) => return Err(SourceError::Closed),
        }
        Ok(())
    }
}

/// Which containers are read.
struct Wanted {
    containers: Vec<Pattern>,
    exclude: Vec<Pattern>,
    /// The beginning of our own container's id, which is its host name unless somebody set another.
    own: Option<String>,
}

impl Wanted {
    fn of(settings: &DockerSettings) -> Self {
        // They were globs when the settings were read.
        let patterns = |globs: &[String]| globs.iter().filter_map(|glob| Pattern::new(glob).ok()).collect();
        let is_id = |name: &String| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        Self {
            containers: patterns(&settings.containers),
            exclude: patterns(&settings.exclude),
            own: env::var("HOSTNAME").ok().filter(is_id),
        }
    }

    fn has(&self, listed: &Listed) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(listed.name()));
        (self.containers.is_empty() || any(&self.containers))
            && !any(&self.exclude)
            && self.own.as_ref().is_none_or(|own| !listed.id.starts_with(own))
            // It has no log before it was started.
            && listed.state != "created"
    }
}

impl Listed {
    fn name(&self) -> &str {
        self.names.first().map_or("", |name| name.trim_start_matches('/'))
    }
}

/// What all records of a container's standard output, and of its standard error, share.
fn origins(source: &str, listed: &Listed, own: &Fields) -> [Arc<Origin>; 2] {
    let mut fields = own.clone();
    fields.push("container.id", listed.id.clone());
    fields.push("container.name", listed.name());
    fields.push("container.image.name", listed.image.clone());
    let known = HashMap::from([
        ("com.docker.compose.service", "service.name"),
        ("io.kubernetes.container.name", "kubernetes.container.name"),
        ("io.kubernetes.pod.name", "kubernetes.pod.name"),
        ("io.kubernetes.pod.namespace", "kubernetes.namespace"),
        ("io.kubernetes.pod.uid", "kubernetes.pod.uid"),
    ]);
    for (label, value) in &listed.labels {
        match known.get(label.as_str()) {
            Some(field) => fields.push(*field, value.clone()),
            None => fields.push(format!("container.labels.{label}"), value.clone()),
        }
    }
    ["stdout", "stderr"].map(|stream| {
        let mut fields = fields.clone();
        fields.push("stream", stream);
        Arc::new(Origin::new(source, fields))
    })
}
