//! `logrisk serve`: the HTTP API and the page, over the same pipeline as `logrisk score`.

mod engine;
mod models;
mod plane;
mod settings;
mod traces;

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, thread, time::Duration};

use anyhow::Context as _;
use logrisk_catalogue::Catalogue;
use logrisk_enrich::redact::Redactions;
use logrisk_web::{
    Access, AlertSettings, Alerts, BodyLimits, ConnectionLimits, DataPlane, Parts, Server, Service, Tls,
};
use tokio_util::sync::CancellationToken;

use super::run::{self, Plane};
use crate::{log, system};

pub use models::AppModels;
pub use settings::ServeArgs;

use plane::InUse;
use settings::ChannelName;
use traces::Traces;

/// Changed counts are on disk after so long; new patterns at once.
const FLUSH: Duration = Duration::from_secs(1);
/// Threads for whole bodies, files and the store. Each may hold a body.
const BLOCKING_THREADS: usize = 16;

pub fn run(arguments: &ServeArgs) -> anyhow::Result<ExitCode> {
    let settings = arguments.clone().with_file()?;
    log::start(&settings.log_level, settings.log_format)?;
    let data_plane = settings.data_plane()?;
    system::prefer_small_pages();
    system::raise_file_limit(settings.connections);
    let catalogue = match &settings.data_dir {
        Some(folder) => Catalogue::open(folder)?,
        None => Catalogue::in_memory(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("http")
        .build()
        .context("could not start the runtime")?;
    let traces = settings.otlp_endpoint().map(Traces::start).transpose()?;
    let ended = runtime.block_on(serve(&settings, data_plane, catalogue, traces.as_ref()));
    // What still runs now ran past the grace period.
    runtime.shutdown_background();
    ended
}

async fn serve(
    settings: &ServeArgs,
    data_plane: Option<run::Settings>,
    catalogue: Catalogue,
    traces: Option<&Traces>,
) -> anyhow::Result<ExitCode> {
    // Asked for first: a signal that comes while the model loads counts too.
    let stop = signals()?;
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let mebibytes = |mebibytes: u32| (mebibytes as usize) << 20;
    let catalogue = Arc::new(catalogue);
    let plane = data_plane.as_ref().map(Plane::of);
    let personal = data_plane.is_some_and(|settings| settings.run.redact_personal);
    let redactions = Redactions { secrets: true, personal };
    let service = Service::start(Parts {
        models: Arc::new(AppModels::new(settings.engine.clone(), redactions, settings.data_dir.as_deref())),
        catalogue: Arc::clone(&catalogue),
        scoring_threads: settings.engine.threads(),
        streams_per_client: settings.streams_per_client as usize,
        queue_lines: settings.queue_lines as usize,
        bodies: BodyLimits::new(
            mebibytes(settings.body_mebibytes),
            seconds(settings.request_timeout_secs),
            mebibytes(settings.bodies_mebibytes.max(settings.body_mebibytes)),
        ),
        deadline: seconds(settings.request_timeout_secs),
        access: Access::new(
            settings.keys.iter().map(settings::KeySetting::key).collect(),
            settings.allowed_origins.clone(),
        ),
        alerts: alerts(settings)?,
        tracer: traces.map(Traces::tracer),
        plane: plane.as_ref().map(|plane| plane.figures() as Arc<dyn DataPlane>),
        collectors: plane.as_ref().map(Plane::collectors).unwrap_or_default(),
    })?;
    let tls = settings.tls().map(|files| Tls::open(files, &["http/1.1"])).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let limits = ConnectionLimits {
        connections: settings.connections as usize,
        header_timeout: seconds(settings.header_timeout_secs),
        header_bytes: 64 << 10,
        grace: seconds(settings.grace_secs),
    };
    let address = SocketAddr::new(settings.host, settings.port);
    let server = Server::bind(address, Arc::clone(&service), tls, limits, &settings.allowed_origins)
        .await
        .with_context(|| format!("could not listen on {address}; is another server there? try --port"))?;
    let address = server.address()?;
    tracing::info!(%address, data_dir = ?settings.data_dir, "listening on {scheme}://{address}");
    if !address.ip().is_loopback() && settings.keys.is_empty() {
        tracing::warn!("everybody who reaches {address} may do everything; give keys with --key");
    }
    let flushing = thread::Builder::new().name("store".to_owned()).spawn({
        let catalogue = Arc::downgrade(&catalogue);
        move || {
            while let Some(catalogue) = catalogue.upgrade() {
                if let Err(error) = catalogue.flush() {
                    tracing::error!(%error, "patterns could not be written; trying again");
                }
                drop(catalogue);
                thread::sleep(FLUSH);
            }
        }
    });
    drop(flushing.context("could not start the store's thread")?);

    let loading = tokio::spawn({
        let (service, version) = (Arc::clone(&service), last_activated(settings, &catalogue));
        async move {
            let mut loaded = service.activate(version.as_deref(), None).await;
            if let (Err(error), Some(version)) = (&loaded, version) {
                tracing::warn!(%error, version, "the model last in use is not there; using the configured one");
                loaded = service.activate(None, None).await;
            }
            loaded
        }
    });
    let stop_plane = CancellationToken::new();
    let mut collecting = tokio::spawn({
        let (service, stop, threads) = (Arc::clone(&service), stop_plane.clone(), settings.engine.threads());
        async move {
            let change = loading.await.context("loading the model panicked")??;
            tracing::info!(model = change.active, took_ms = change.took_ms, "ready");
            let Some(plane) = plane else { return Ok(ExitCode::SUCCESS) };
            plane.run(Arc::new(InUse(service)), threads, stop).await
        }
    });
    let mut collected = None;
    let cut_off = server
        .run(async {
            let failed = async {
                let ended = (&mut collecting).await;
                let well = matches!(ended, Ok(Ok(code)) if code == ExitCode::SUCCESS);
                collected = Some(ended);
                if well {
                    // Without sources, or after their end, there is still the API.
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                signal = stop => tracing::info!(signal, "asked to end"),
                () = failed => {}
            }
            stop_plane.cancel();
        })
        .await;
    // The signal went to the data plane, too; it bounds its own end.
    let collected = match collected {
        Some(ended) => ended,
        None => collecting.await,
    };
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "the grace period is over; these were cut off");
    }
    // Joins the scoring threads and writes to disk; nothing else runs now.
    service.close().context("what was seen last could not be written")?;
    tracing::info!("ended");
    collected.context("the data plane panicked")?
}

/// The model that somebody activated last; a model given by flag or file outranks it.
fn last_activated(settings: &ServeArgs, catalogue: &Catalogue) -> Option<String> {
    let asked = settings.engine.model.is_none();
    asked.then(|| catalogue.activations().pop()).flatten().map(|activation| activation.version)
}

fn alerts(settings: &ServeArgs) -> anyhow::Result<Option<Alerts>> {
    let Some(url) = settings.alert_url() else { return Ok(None) };
    if settings.alert_channel == ChannelName::Unknown {
        tracing::warn!(
            "the alert channel is none of slack, discord, pagerduty and webhook; alerts are sent as to webhook"
        );
    }
    let started = Alerts::start(AlertSettings {
        channel: settings.alert_channel.into(),
        url: url.to_owned(),
        min_risk: settings.alert_min_risk,
        routing_key: settings.alert_routing_key.clone().unwrap_or_default(),
    });
    started.map(Some).context("could not start the thread that sends alerts")
}

/// Ends when a signal asks to.
fn signals() -> io::Result<impl Future<Output = &'static str>> {
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
