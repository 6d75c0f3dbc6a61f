//! What all sources that listen on TCP share: connections, TLS, and their end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use logrisk_tls::{Tls, TlsFiles};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::SourceError;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Before accepting goes on after the system refused it, usually for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A port that is listened on.
pub(crate) struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
    connections: u32,
    address: SocketAddr,
}

impl Listener {
    /// Listens; further connections than so many wait until others end. `protocols` are what clients of TLS may ask for.
    ///
    /// # Errors
    /// An address in use, or certificates that cannot be read.
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Option<TlsFiles>,
        protocols: &[&str],
        connections: u32,
    ) -> Result<Self, SourceError> {
        let tls = tls.map(|files| Tls::open(files, protocols)).transpose();
        let tls = tls.map_err(|error| SourceError::Settings(error.to_string()))?;
        let tcp = TcpListener::bind(address)
            .await
            .map_err(SourceError::io(format!("could not listen on {address}; is another server there?")))?;
        let address = tcp.local_addr().unwrap_or(address);
        Ok(Self { tcp, tls, connections, address })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections, each in a task of its own, until `stop`; then waits for those that are open.
    pub(crate) async fn serve<F, S>(self, stop: CancellationToken, serve: S)
    where
        F: Future<Output = ()> + Send,
        S: Fn(Box<dyn Duplex>, SocketAddr) -> F + Clone + Send + 'static,
    {
        let Self { tcp, tls, connections, .. } = self;
        let places = Arc::new(Semaphore::new(connections as usize));
        let follower = tls.clone().map(|tls| tokio::spawn(async move { tls.follow().await }));
        let mut tasks = JoinSet::new();
        loop {
            let accepted = async {
                // Never closed, so that this only waits.
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((place, tcp.accept().await))
            };
            let (place, accepted) = tokio::select! {
                () = stop.cancelled() => break,
                Some(accepted) = accepted => accepted,
                Some(ended) = tasks.join_next() => {
                    log_panic(ended);
                    continue;
                }
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            // Acknowledgements are small: waiting for more to send would only delay them.
            _ = stream.set_nodelay(true);
            let (tls, serve, stop) = (tls.clone(), serve.clone(), stop.clone());
            tasks.spawn(async move {
                let stream = tokio::select! {
                    stream = open(stream, tls) => stream,
                    () = stop.cancelled() => None,
                };
                match stream {
                    Some(stream) => serve(stream, peer).await,
                    None => tracing::debug!(%peer, "no connection: the handshake failed or took too long"),
                }
                drop(place);
            });
        }
        drop((tcp, serve));
        if let Some(follower) = follower {
            follower.abort();
        }
        while let Some(ended) = tasks.join_next().await {
            log_panic(ended);
        }
    }
}

async fn open(stream: TcpStream, tls: Option<Arc<Tls>>) -> Option<Box<dyn Duplex>> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    let handshake = tokio_rustls::TlsAcceptor::from(tls.config()).accept(stream);
    Some(Box::new(timeout(HANDSHAKE, handshake).await.ok()?.ok()?))
}

/// What a connection's task had not acknowledged comes again.
fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection panicked and was closed");
    }
}
