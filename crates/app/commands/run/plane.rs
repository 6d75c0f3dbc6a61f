//! The data plane put together: sources, scoring threads, sinks; and its end.
//!
//! ```text
//! sources ─► Outlet (bytes in flight) ─► scoring threads ─► routes ─► sinks
//!    ▲ stop                                                             │
//!    └──────────────────────── acknowledgements ◄───────────────────────┘
//! ```
//! Only sources are asked to stop. Everything behind them ends when its input ends, so an orderly end has written all
//! that was read.

use std::{
    iter,
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use logrisk_flow::{Budget, Outlet};
use logrisk_sink::{Progress, Prometheus};
use prometheus_client::collector::Collector;
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    figures::Figures,
    observe,
    open::{Ended, Origin, Sinks, start_source},
    replay::Replay,
    routes::Routes,
    scoring::{self, Scorer},
    settings::{RunSettings, Settings, SinkSettings},
};

/// Everything between reading the settings and the end.
pub struct Plane {
    pub(super) sources: Vec<(String, Origin)>,
    pub(super) sinks: Vec<(String, SinkSettings)>,
    routes: Routes,
    pub(super) run: RunSettings,
    figures: Arc<Figures>,
    /// The counters of the sink `prometheus`, if there is one.
    counters: Option<Prometheus>,
}

impl Plane {
    /// The data plane of these settings.
    pub fn of(settings: &Settings) -> Self {
        let sinks: Vec<_> = settings.sinks.iter().map(|(name, own)| (name.clone(), own.clone())).collect();
        let sources = settings.sources.iter();
        let sources =
            sources.map(|(name, own)| (name.clone(), Origin::Source(Box::new(own.clone())))).collect();
        Self::new(settings, sources, sinks)
    }

    fn new(settings: &Settings, sources: Vec<(String, Origin)>, sinks: Vec<(String, SinkSettings)>) -> Self {
        let names: Vec<_> = sinks.iter().map(|(name, _)| name.as_str()).collect();
        let figures = Figures {
            sources: sources.iter().map(|(name, _)| (name.as_str().into(), Arc::default())).collect(),
            sinks: names.iter().map(|name| ((*name).into(), Arc::default())).collect(),
            budget: Budget::new(settings.run.in_flight_mebibytes << 20),
            running: OnceLock::new(),
        };
        let counters = sinks.iter().find_map(|(_, sink)| match sink {
            SinkSettings::Prometheus(settings) => Some(Prometheus::new(settings.clone())),
            _ => None,
        });
        let routes = Routes::new(&settings.routes, &names);
        Self { sources, sinks, routes, run: settings.run.clone(), figures: Arc::new(figures), counters }
    }

    /// What it did so far.
    pub fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// The same for `/metrics`, with what the sink `prometheus` counts.
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let figures = Box::new(self.figures()) as Box<dyn Collector>;
        let counters = self.counters.clone().map(|counters| Box::new(counters) as Box<dyn Collector>);
        iter::once(figures).chain(counters).collect()
    }

    /// A data plane from files of dead letters to the sink that refused them.
    pub fn of_letters(settings: &Settings, sink: &str, files: Vec<PathBuf>) -> anyhow::Result<Self> {
        let own = settings.sinks.get(sink).with_context(|| {
            format!("the dead letters are for the sink {sink}, which the settings do not have any more")
        })?;
        let sources = vec![("dead letters".to_owned(), Origin::Letters(Replay::new(files)))];
        Ok(Self {
            routes: Routes::new(&[], &[sink]),
            ..Self::new(settings, sources, vec![(sink.to_owned(), own.clone())])
        })
    }

    /// Runs until all sources have ended, or a signal or `stop` asks them to.
    pub async fn run(
        self,
        scorer: Arc<dyn Scorer>,
        threads: usize,
        stop: CancellationToken,
    ) -> anyhow::Result<ExitCode> {
        // Asked for first: a signal that comes while sinks are opened counts too.
        let mut signal = pin!(signals()?);
        if let Some(address) = self.run.address {
            observe::answer(address, &self).await?;
        }
        let Self { sources, sinks, routes, run, figures, counters } = self;
        let mut exits = Vec::new();
        let mut working = Sinks::new(&run, Arc::clone(&figures))?;
        for (name, settings) in sinks {
            exits.push(working.start(name.into(), settings, counters.as_ref())?);
        }
        let (outlet, inbox) = Outlet::new(figures.budget.clone());
        let scoring = scoring::start(threads, scorer, routes, exits, inbox)
            .context("could not start the scoring threads")?;
        let scored = end_of(scoring);
        let mut collecting = JoinSet::new();
        for (name, settings) in sources {
            let outlet = outlet.counted(figures.source(&name));
            start_source(name.into(), settings, &run, outlet, &stop, &mut collecting);
        }
        drop(outlet);
        _ = figures.running.set(());
        #[cfg(feature = "count-allocations")]
        let allocations = stats_alloc::Region::new(crate::ALLOCATOR);
        tracing::info!(sources = collecting.len(), sinks = figures.sinks.len(), "running");

        let mut failed = false;
        while !stop.is_cancelled() && !collecting.is_empty() {
            tokio::select! {
                signal = &mut signal => {
                    tracing::info!(signal, grace_secs = run.grace_secs, "asked to end");
                    stop.cancel();
                }
                () = stop.cancelled() => {}
                Some(ended) = collecting.join_next() => failed |= source_failed(ended, &stop),
                Some(ended) = working.tasks.join_next() => failed |= sink_failed(&ended, &stop),
            }
        }
        let drained = async {
            while let Some(ended) = collecting.join_next().await {
                failed |= source_failed(ended, &stop);
            }
            // The thread cannot be gone without having sent.
            _ = scored.await;
            while let Some(ended) = working.tasks.join_next().await {
                failed |= sink_failed(&ended, &stop);
            }
        };
        let grace = async {
            if !stop.is_cancelled() {
                let signal = signal.await;
                tracing::info!(signal, grace_secs = run.grace_secs, "asked to end");
            }
            sleep(Duration::from_secs(u64::from(run.grace_secs))).await;
        };
        let in_time = tokio::select! {
            () = drained => true,
            () = grace => false,
        };
        // What a source holds still it drops here, while it can say so or put it on the disk.
        collecting.shutdown().await;
        #[cfg(feature = "count-allocations")]
        report_allocations(&allocations.change(), &figures);
        let unfinished = report(&figures.sinks);
        Ok(if failed || unfinished || !in_time { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Says what each sink did, and what it did not finish; tells whether there is such.
fn report(sinks: &[(Arc<str>, Arc<Progress>)]) -> bool {
    let mut unfinished = false;
    for (sink, progress) in sinks {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (written, rejected) = (count(&progress.written), count(&progress.rejected));
        tracing::info!(sink = &**sink, written, rejected, repeated = count(&progress.repeated), "ended");
        let waiting = count(&progress.waiting);
        if waiting > 0 {
            unfinished = true;
            tracing::warn!(
                sink = &**sink,
                records = waiting,
                "not written within the grace period; their sources send them again"
            );
        }
    }
    unfinished
}

/// Says what a record cost, among all that was allocated since sources were started.
#[cfg(feature = "count-allocations")]
fn report_allocations(change: &stats_alloc::Stats, figures: &Figures) {
    let records: u64 = figures.sources.iter().map(|(_, own)| own.records.load(Ordering::Relaxed)).sum();
    let each = |count: usize| count as f64 / records.max(1) as f64;
    tracing::warn!(
        records,
        allocations = each(change.allocations),
        reallocations = each(change.reallocations),
        bytes = each(change.bytes_allocated),
        "each record"
    );
}

/// A source that fails ends everything: half a data plane would look like a whole one.
fn source_failed(ended: Result<Ended, JoinError>, stop: &CancellationToken) -> bool {
    match ended {
        Ok((source, Ok(()))) => {
            tracing::info!(source = &*source, "ended");
            return false;
        }
        Ok((source, Err(error))) => tracing::error!(source = &*source, %error, "the source failed; ending"),
        Err(error) => tracing::error!(%error, "a source panicked; ending"),
    }
    stop.cancel();
    true
}

/// So does a sink that nobody will ever empty again.
fn sink_failed(ended: &Result<(Arc<str>, bool), JoinError>, stop: &CancellationToken) -> bool {
    match ended {
        Ok((_, true)) => return false,
        Ok((sink, false)) => tracing::error!(sink = &**sink, "the sink is gone; ending"),
        Err(error) => tracing::error!(%error, "a sink panicked; ending"),
    }
    stop.cancel();
    true
}

/// Tells when all threads have ended.
fn end_of(threads: Vec<JoinHandle<()>>) -> oneshot::Receiver<()> {
    let (sender, ended) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        for thread in threads {
            // A thread catches what panics inside it.
            _ = thread.join();
        }
        _ = sender.send(());
    });
    ended
}

/// Ends when a signal asks to.
fn signals() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
