//! One sender's connection: bounded headers, and an end that waits for the answers that are owed.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::listen::Duplex;

/// Bytes of a request's headers. Tokens and trace contexts take a few hundred.
const HEADER_BYTES: usize = 64 << 10;
/// Headers of a request; shippers send about ten.
const HEADERS: usize = 64;
/// At the end, for what was answered to leave.
const LAST: Duration = Duration::from_secs(1);

/// Where a request comes from; in the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Serves a connection to its end. After `stop` the requests that have come are answered within `patience`, and no
/// others are taken.
pub(super) async fn serve(
    stream: Box<dyn Duplex>,
    peer: SocketAddr,
    router: Router,
    idle: Duration,
    patience: Duration,
    stop: CancellationToken,
) {
    let owed = AtomicUsize::new(0);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip().to_canonical()));
        owed.fetch_add(1, Ordering::Relaxed);
        let answer = router.call(request);
        async {
            let answer = answer.await;
            owed.fetch_sub(1, Ordering::Relaxed);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Headers that trickle in must not hold the end up.
            let patience = if owed.load(Ordering::Relaxed) > 0 { patience + LAST } else { LAST };
            timeout(patience, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // Senders leave and time out all day.
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
