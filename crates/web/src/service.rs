//! What all handlers share: the model in use, the catalogue, the queue, who watches; and the change of models.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use logrisk_catalogue::{Activation, Catalogue, CatalogueError};
use opentelemetry::global::BoxedTracer;
use prometheus_client::collector::Collector;
use tokio::sync::{Mutex, Semaphore, watch};

use crate::{
    access::Access,
    alert::Alerts,
    batch::{Batcher, Loaded},
    body::BodyLimits,
    engine::{Engine, Masked, Models, ModelsError},
    error::ApiError,
    hub::Hub,
    metrics::Metrics,
    plane::DataPlane,
    scoring::read_lines,
    view::{ModelChange, Totals},
    vitals::Hour,
};

/// Lines that a new model judges before it is put in use: its code and weights are then in the processor's caches, and
/// its own cache knows what comes most often.
const WARM_UP_LINES: usize = 256;

/// What the service is made of.
pub struct Parts {
    /// The models there are.
    pub models: Arc<dyn Models>,
    /// What was seen.
    pub catalogue: Arc<Catalogue>,
    /// Threads that judge.
    pub scoring_threads: usize,
    /// Texts that may wait for them.
    pub queue_lines: usize,
    /// What bodies may cost.
    pub bodies: BodyLimits,
    /// Streams that one client may have open: one key, or one address where there are no keys.
    pub streams_per_client: usize,
    /// How long a request may take once its body is there.
    pub deadline: Duration,
    /// Who may do what.
    pub access: Access,
    /// Where alerts go.
    pub alerts: Option<Alerts>,
    /// What takes the spans of requests.
    pub tracer: Option<BoxedTracer>,
    /// The data plane beside the server.
    pub plane: Option<Arc<dyn DataPlane>>,
    /// Metrics of others, for `/metrics`.
    pub collectors: Vec<Box<dyn Collector>>,
}

/// Everything that handlers share.
pub struct Service {
    /// The model in use.
    current: ArcSwapOption<Loaded>,
    /// The model in use before, kept for rollback. The lock is held while models change.
    previous: Mutex<Option<Loaded>>,
    generation: AtomicU64,
    models: Arc<dyn Models>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) batcher: Batcher,
    pub(crate) hub: Arc<Hub>,
    pub(crate) bodies: BodyLimits,
    pub(crate) metrics: Metrics,
    pub(crate) hour: Hour,
    pub(crate) access: Access,
    pub(crate) alerts: Option<Alerts>,
    pub(crate) tracer: Option<BoxedTracer>,
    pub(crate) plane: Option<Arc<dyn DataPlane>>,
    pub(crate) deadline: Duration,
    /// Held while a line is explained.
    pub(crate) explaining: Semaphore,
    ready: AtomicBool,
    draining: watch::Sender<bool>,
}

impl Service {
    /// Starts the scoring threads. No model is in use yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(parts: Parts) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            current: ArcSwapOption::empty(),
            previous: Mutex::new(None),
            generation: AtomicU64::new(0),
            models: parts.models,
            catalogue: parts.catalogue,
            batcher: Batcher::start(parts.scoring_threads, parts.queue_lines)?,
            hub: Arc::new(Hub::new(parts.streams_per_client)),
            bodies: parts.bodies,
            metrics: Metrics::new(parts.collectors),
            hour: Hour::default(),
            access: parts.access,
            alerts: parts.alerts,
            tracer: parts.tracer,
            plane: parts.plane,
            deadline: parts.deadline,
            explaining: Semaphore::new(1),
            ready: AtomicBool::new(false),
            draining: watch::Sender::new(false),
        }))
    }

    /// The model in use.
    #[must_use]
    pub fn loaded(&self) -> Option<Arc<Loaded>> {
        self.current.load_full()
    }

    /// The version of the model in use.
    #[must_use]
    pub fn model_version(&self) -> Option<String> {
        self.current.load().as_ref().map(|loaded| loaded.engine.version().to_owned())
    }

    /// The catalogue.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Whether requests should come: a model is in use and the server is not about to end.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.is_draining()
    }

    /// Whether the server is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Tells watchers and load balancers that the server is about to end.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Becomes true when the server is about to end.
    #[must_use]
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Finishes what waits, and writes what was not written yet.
    ///
    /// # Errors
    /// When the store fails.
    pub fn close(&self) -> Result<(), CatalogueError> {
        self.batcher.close();
        self.catalogue.flush()
    }

    pub(crate) fn require_model(&self) -> Result<Arc<Loaded>, ApiError> {
        self.loaded().ok_or_else(ApiError::no_model)
    }

    /// Counts for the page's header. `lines_per_second` is left to the caller, who knows when it last asked.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let (lines, new_patterns) = self.catalogue.totals();
        Totals {
            lines,
            lines_per_second: 0,
            new_patterns,
            patterns: self.catalogue.len(),
            model_version: self.model_version(),
        }
    }

    /// Alerts delivered, and alerts given up.
    pub(crate) fn alert_figures(&self) -> (u64, u64) {
        self.alerts.as_ref().map_or((0, 0), |alerts| {
            let figures = alerts.figures();
            (figures.sent.load(Ordering::Relaxed), figures.failed.load(Ordering::Relaxed))
        })
    }

    /// The models there are. Listing them blocks.
    pub(crate) fn models(&self) -> &Arc<dyn Models> {
        &self.models
    }

    /// The version that was in use before, if it is still in memory.
    pub(crate) async fn previous_version(&self) -> Option<String> {
        self.previous.lock().await.as_ref().map(|loaded| loaded.engine.version().to_owned())
    }

    /// Loads a model, warms it up and puts it in use between two batches. Requests go on meanwhile with the old one,
    /// which stays in memory for rollback.
    ///
    /// # Errors
    /// [`ModelsError`]; the old model stays in use then.
    pub async fn activate(
        self: &Arc<Self>,
        version: Option<&str>,
        by: Option<String>,
    ) -> Result<ModelChange, ModelsError> {
        let began = Instant::now();
        let mut previous = self.previous.lock().await;
        let back = version.and_then(|version| previous.take_if(|loaded| loaded.engine.version() == version));
        let engine = if let Some(loaded) = back {
            loaded.engine
        } else {
            let (models, catalogue) = (Arc::clone(&self.models), Arc::clone(&self.catalogue));
            let version = version.map(str::to_owned);
            // The first model is waited for: it becomes warm by the first requests.
            let lines = if self.loaded().is_some() { WARM_UP_LINES } else { 0 };
            let opened = tokio::task::spawn_blocking(move || {
                let engine = models.open(version.as_deref())?;
                warm_up(&*engine, catalogue.busiest(lines));
                Ok(engine)
            });
            opened.await.map_err(|_| ModelsError::Broken("loading the model panicked".to_owned()))??
        };
        let active = engine.version().to_owned();
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let since = Timestamp::now();
        let old = self.current.swap(Some(Arc::new(Loaded { generation, engine, since })));
        let change = ModelChange {
            active: active.clone(),
            previous: old.as_ref().map(|old| old.engine.version().to_owned()),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        if let Some(old) = old {
            *previous = Some((*old).clone());
        }
        drop(previous);
        self.metrics.model_in_use(&active);
        self.ready.store(true, Ordering::Release);
        if let Ok(json) = serde_json::to_string(&change) {
            self.hub.event("model", &json);
        }
        let catalogue = Arc::clone(&self.catalogue);
        let activation = Activation { version: active, at: since, by };
        let noted = tokio::task::spawn_blocking(move || catalogue.activate(activation)).await;
        if !matches!(noted, Ok(Ok(()))) {
            tracing::warn!(
                "the model is in use, but that could not be noted; a restart begins with the old one"
            );
        }
        Ok(change)
    }
}

/// Judges what comes most often, so that the first requests find a warm model and a filled cache.
fn warm_up(engine: &dyn Engine, mut lines: Vec<String>) {
    lines.push("ERROR connection refused".to_owned());
    let texts: Vec<Masked> = read_lines(engine, &lines, true).into_iter().map(|line| line.masked).collect();
    engine.assess(&texts);
}
