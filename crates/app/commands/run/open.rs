//! From settings to sources and sinks at work: one arm for each kind.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use logrisk_collect::{
    Docker, Forward, Http, Journald, Kafka, Otlp, Source, SourceError, Stdin, Syslog, Tail,
};
use logrisk_flow::{Delivery, Outlet};
use logrisk_sink::{DeadLetters, Elastic, Lines, Progress, Prometheus, Sink, Snapshot, drive};
use serde_saphyr::Spanned;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    figures::Figures,
    replay::Replay,
    scoring::Exit,
    settings::{RunSettings, SinkSettings, SourceSettings},
};

/// Where records come from.
pub enum Origin {
    Source(Box<SourceSettings>),
    Letters(Replay),
}

/// The sinks at work, and what they share.
pub struct Sinks {
    pub tasks: JoinSet<(Arc<str>, bool)>,
    figures: Arc<Figures>,
    dead_letters: Option<Arc<DeadLetters>>,
    /// Where a sink keeps what is not written yet.
    spool: PathBuf,
    /// Names of sinks that sources do not wait for.
    optional: Vec<Spanned<String>>,
}

impl Sinks {
    /// None yet.
    ///
    /// # Errors
    /// A folder of dead letters that cannot be used.
    pub fn new(run: &RunSettings, figures: Arc<Figures>) -> anyhow::Result<Self> {
        Ok(Self {
            tasks: JoinSet::new(),
            figures,
            dead_letters: open_dead_letters(run)?,
            spool: run.data_dir().join("spool"),
            optional: run.optional_sinks.clone(),
        })
    }

    /// Opens a sink and has it written to.
    pub fn start(
        &mut self,
        name: Arc<str>,
        settings: SinkSettings,
        counters: Option<&Prometheus>,
    ) -> anyhow::Result<Exit> {
        let (sender, inbox) = mpsc::unbounded_channel();
        let progress = self.figures.sink(&name);
        let exit = Exit {
            name: name.to_string(),
            inbox: sender,
            progress: Arc::clone(&progress),
            optional: self.optional.iter().any(|optional| optional.value == *name),
        };
        let at_work =
            Driven { name: Arc::clone(&name), inbox, dead_letters: self.dead_letters.clone(), progress };
        let tasks = &mut self.tasks;
        match settings {
            SinkSettings::Stdout => at_work.spawn(Lines::stdout(), tasks),
            SinkSettings::Elastic(settings) => {
                let elastic = Elastic::open(settings).map_err(anyhow::Error::msg);
                at_work.spawn(elastic.with_context(|| format!("sink {name}"))?, tasks);
            }
            SinkSettings::Kafka(settings) => {
                let kafka = logrisk_sink::Kafka::open(settings).map_err(anyhow::Error::msg);
                at_work.spawn(kafka.with_context(|| format!("sink {name}"))?, tasks);
            }
            SinkSettings::Snapshot(settings) => {
                let snapshot = Snapshot::open(&name, &settings, &self.spool).map_err(anyhow::Error::msg);
                at_work.spawn(snapshot.with_context(|| format!("sink {name}"))?, tasks);
            }
            SinkSettings::Otlp(settings) => {
                let otlp = logrisk_sink::Otlp::open(settings).map_err(anyhow::Error::msg);
                at_work.spawn(otlp.with_context(|| format!("sink {name}"))?, tasks);
            }
            SinkSettings::File(settings) => {
                let path = settings.path.display().to_string();
                let file = Lines::file(settings).with_context(|| format!("could not open {path}"))?;
                at_work.spawn(file, tasks);
            }
            SinkSettings::Prometheus(settings) => {
                let counters = counters.cloned().unwrap_or_else(|| Prometheus::new(settings));
                at_work.spawn(counters, tasks);
            }
        }
        Ok(exit)
    }
}

/// What every sink's loop needs.
struct Driven {
    name: Arc<str>,
    inbox: UnboundedReceiver<Delivery>,
    dead_letters: Option<Arc<DeadLetters>>,
    progress: Arc<Progress>,
}

impl Driven {
    fn spawn(self, sink: impl Sink, tasks: &mut JoinSet<(Arc<str>, bool)>) {
        let Self { name, inbox, dead_letters, progress } = self;
        tasks.spawn(async move {
            let orderly = drive(Arc::clone(&name), sink, inbox, dead_letters, progress).await;
            (name, orderly)
        });
    }
}

/// The end of a source, under its name.
pub type Ended = (Arc<str>, Result<(), SourceError>);

/// Has a source collect.
pub fn start_source(
    name: Arc<str>,
    origin: Origin,
    run: &RunSettings,
    outlet: Outlet,
    stop: &CancellationToken,
    tasks: &mut JoinSet<Ended>,
) {
    fn spawn(
        name: Arc<str>,
        source: impl Source,
        outlet: Outlet,
        stop: CancellationToken,
        tasks: &mut JoinSet<Ended>,
    ) {
        tasks.spawn(async move {
            let ended = source.run(outlet, stop).await;
            (name, ended)
        });
    }
    let stop = stop.clone();
    let (checkpoints, buffers) = (run.data_dir().join("checkpoints"), run.data_dir().join("buffers"));
    let settings = match origin {
        Origin::Source(settings) => settings,
        Origin::Letters(letters) => return spawn(name, letters, outlet, stop, tasks),
    };
    match *settings {
        SourceSettings::Stdin => spawn(Arc::clone(&name), Stdin::new(&name), outlet, stop, tasks),
        SourceSettings::Docker(settings) => {
            spawn(Arc::clone(&name), Docker::new(&name, settings, &checkpoints), outlet, stop, tasks);
        }
        SourceSettings::Elastic(settings) => {
            let elastic = logrisk_collect::Elastic::new(&name, settings, &checkpoints);
            spawn(Arc::clone(&name), elastic, outlet, stop, tasks);
        }
        SourceSettings::Forward(settings) => {
            spawn(Arc::clone(&name), Forward::new(&name, settings, &buffers), outlet, stop, tasks);
        }
        SourceSettings::Http(settings) => {
            spawn(Arc::clone(&name), Http::new(&name, settings), outlet, stop, tasks)
        }
        SourceSettings::Journald(settings) => {
            spawn(Arc::clone(&name), Journald::new(&name, settings, &checkpoints), outlet, stop, tasks);
        }
        SourceSettings::Otlp(settings) => {
            spawn(Arc::clone(&name), Otlp::new(&name, settings), outlet, stop, tasks);
        }
        SourceSettings::Kafka(settings) => {
            spawn(Arc::clone(&name), Kafka::new(&name, settings), outlet, stop, tasks);
        }
        SourceSettings::Syslog(settings) => {
            spawn(Arc::clone(&name), Syslog::new(&name, settings, &buffers), outlet, stop, tasks);
        }
        SourceSettings::Tail(settings) => {
            spawn(Arc::clone(&name), Tail::new(&name, settings, &checkpoints), outlet, stop, tasks);
        }
    }
}

fn open_dead_letters(run: &RunSettings) -> anyhow::Result<Option<Arc<DeadLetters>>> {
    let Some(folder) = &run.dead_letter else { return Ok(None) };
    let opened = DeadLetters::open(folder)
        .with_context(|| format!("could not open the dead letters' folder {}", folder.display()))?;
    Ok(Some(Arc::new(opened)))
}
