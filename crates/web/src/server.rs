//! Connections: accepted, bounded, encrypted, served, and ended in order.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue, Method, header};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    time::timeout,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{api, service::Service};
use logrisk_tls::Tls;

/// What connections may cost.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections at once; more wait in the system's own queue.
    pub connections: usize,
    /// How long the headers of a request may take, and how long a connection may stay silent between two requests.
    pub header_timeout: Duration,
    /// Bytes of a request's headers.
    pub header_bytes: usize,
    /// How long requests may go on after the signal to end.
    pub grace: Duration,
}

/// Headers of one request; browsers send about twenty.
const HEADERS: usize = 64;
/// A TLS handshake takes two round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Between two notes for the health page.
const MINUTE: Duration = Duration::from_secs(60);
/// After an error of `accept`, which most often says that file descriptors are used up.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: ConnectionLimits,
    router: axum::Router,
    service: Arc<Service>,
}

impl Server {
    /// Listens, but answers nothing yet. `origins` are those of other sites whose pages may call.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        service: Arc<Service>,
        tls: Option<Arc<Tls>>,
        limits: ConnectionLimits,
        origins: &[String],
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let mut router = api::router(Arc::clone(&service));
        if !origins.is_empty() {
            router = router.layer(cors(origins));
        }
        Ok(Self { listener, tls, limits, router, service })
    }

    /// Where it listens: the port that the system chose, if it was asked for port 0.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then lets open requests end within the grace period. Returns how many connections were cut
    /// off then.
    pub async fn run(self, stop: impl Future<Output = ()>) -> usize {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let follower = self.tls.clone().map(|tls| tokio::spawn(async move { tls.follow().await }));
        let minutes = tokio::spawn(note_minutes(Arc::clone(&self.service)));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // Never closed, so that this only waits.
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((place, self.listener.accept().await))
            };
            let (place, accepted) = tokio::select! {
                () = &mut stop => break,
                Some(accepted) = accepted => accepted,
            };
            let (stream, peer) = match accepted {
                Ok((stream, address)) => (stream, Peer(address.ip())),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Answers are small: waiting for more to send would only delay them.
            _ = stream.set_nodelay(true);
            let (watcher, router, limits) = (graceful.watcher(), self.router.clone(), self.limits.clone());
            let tls = self.tls.as_ref().map(|tls| tls.config());
            tokio::spawn(async move {
                if let Some(config) = tls {
                    let handshake = tokio_rustls::TlsAcceptor::from(config).accept(stream);
                    match timeout(HANDSHAKE, handshake).await {
                        Ok(Ok(stream)) => serve(stream, peer, router, &limits, watcher).await,
                        Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                        Err(_) => tracing::debug!("a handshake took too long"),
                    }
                } else {
                    serve(stream, peer, router, &limits, watcher).await;
                }
                drop(place);
            });
        }
        drop(self.listener);
        self.service.drain();
        for task in follower.into_iter().chain([minutes]) {
            task.abort();
        }
        let open = graceful.count();
        tracing::info!(connections = open, "ending: no new connections, open requests go on");
        let left = timeout(self.limits.grace, graceful.shutdown()).await.is_err();
        if left { self.limits.connections - places.available_permits() } else { 0 }
    }
}

/// Where a request comes from; in the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Notes each minute for the health page.
async fn note_minutes(service: Arc<Service>) {
    let mut minutes = tokio::time::interval(MINUTE);
    loop {
        minutes.tick().await;
        service.note_minute();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    router: axum::Router,
    limits: &ConnectionLimits,
    watcher: Watcher,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS)
        .max_buf_size(limits.header_bytes);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        // Clients leave and time out all day.
        tracing::debug!(%error, "a connection ended early");
    }
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            HeaderName::from_static("x-api-key"),
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("traceparent"),
        ])
        .expose_headers([HeaderName::from_static("x-request-id"), header::RETRY_AFTER])
}
