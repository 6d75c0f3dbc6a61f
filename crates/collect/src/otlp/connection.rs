//! One sender's connection: HTTP/1 or HTTP/2, as it begins; bounded headers, and an end that waits for the answers that are owed.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::listen::Duplex;

/// Bytes of a request's headers. Tokens and trace contexts take a few hundred.
const HEADER_BYTES: u32 = 64 << 10;
/// Headers of a request; exporters send about ten.
const HEADERS: usize = 64;
/// Calls at once on one connection of gRPC. The bodies that are read are bounded for all connections together.
const CALLS: u32 = 64;
/// At the end, for what was answered to leave.
const LAST: Duration = Duration::from_secs(1);

/// Serves a connection to its end. After `stop` the requests that have come are answered within `patience`, and no
/// others are taken. A sender that brings no request within `idle`, or does not answer a ping for as long, is let go.
pub(super) async fn serve(
    stream: Box<dyn Duplex>,
    peer: SocketAddr,
    router: Router,
    idle: Duration,
    patience: Duration,
    stop: CancellationToken,
) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        counted.fetch_add(1, Ordering::Relaxed);
        router.call(request.map(Body::new))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(idle)
        .keep_alive_timeout(idle)
        .max_concurrent_streams(CALLS)
        .max_header_list_size(HEADER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let silent = async {
        sleep(idle).await;
        if requests.load(Ordering::Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = silent => Ok(()),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(patience + LAST, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // Senders leave and time out all day.
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
