//! Listening for connections that last: each has a thread, with TLS if there are certificates.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// How often the listener looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(20);

/// Certificates of a listening source.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the server's certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file with the certificate's key.
    pub key: PathBuf,
    /// PEM file with the authority of senders' certificates: senders without one are refused.
    pub client_authority: Option<PathBuf>,
}

/// A connection, with TLS or without.
pub(crate) trait Connection: Read + Write + Send {}

impl<T: Read + Write + Send> Connection for T {}

/// A bound address and how to speak there.
pub(crate) struct Listener {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    connections: usize,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// A sentence about the address or the certificates.
    pub(crate) fn bind(
        address: SocketAddr,
        tls: Option<&TlsSettings>,
        connections: u32,
    ) -> Result<Self, String> {
        let tls = tls.map(server_config).transpose()?;
        let listener = TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| format!("could not listen on {address}: {error}; is another server there?"))?;
        Ok(Self { listener, tls, connections: connections as usize })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until asked to stop, then ends their reading and waits for their threads. A connection that does
    /// not say anything within `patience` of its beginning is ended by its own reading; `speak` may set other timeouts.
    pub(crate) fn serve(
        &self,
        stop: &CancellationToken,
        patience: Duration,
        speak: impl Fn(Box<dyn Connection>, &TcpStream) -> io::Result<()> + Sync,
    ) {
        let open = AtomicUsize::new(0);
        let mut streams: Vec<TcpStream> = Vec::new();
        thread::scope(|scope| {
            while !stop.is_cancelled() {
                let (stream, peer) = match self.listener.accept() {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        if error.kind() != io::ErrorKind::WouldBlock {
                            tracing::warn!(%error, "a connection could not be accepted");
                        }
                        thread::sleep(LOOK);
                        continue;
                    }
                };
                if open.load(Ordering::Relaxed) >= self.connections {
                    tracing::warn!(%peer, limit = self.connections, "refused: there are as many connections as there may be");
                    continue;
                }
                streams.retain(|stream| stream.peer_addr().is_ok());
                let (speak, open) = (&speak, &open);
                let Ok(own) = stream.try_clone() else { continue };
                streams.push(own);
                open.fetch_add(1, Ordering::Relaxed);
                scope.spawn(move || {
                    if let Err(error) = self.open(stream, patience, speak) {
                        tracing::debug!(%peer, %error, "a connection ended");
                    }
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
            // Reading ends; what was read is still acknowledged.
            for stream in &streams {
                _ = stream.shutdown(Shutdown::Read);
            }
        });
    }

    fn open(
        &self,
        stream: TcpStream,
        patience: Duration,
        speak: impl Fn(Box<dyn Connection>, &TcpStream) -> io::Result<()>,
    ) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        let own = stream.try_clone()?;
        let spoken = match &self.tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                speak(Box::new(StreamOwned::new(connection, stream)), &own)
            }
            None => speak(Box::new(stream), &own),
        };
        // Clones would hold the connection open.
        _ = own.shutdown(Shutdown::Both);
        spoken
    }
}

fn server_config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, String> {
    let name = settings.certificate.display();
    let read = |path: &PathBuf| {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("could not read the certificate {}: {error}", path.display()))
    };
    let key = PrivateKeyDer::from_pem_file(&settings.key)
        .map_err(|error| format!("could not read the key {}: {error}", settings.key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: &dyn std::fmt::Display| format!("certificate {name} cannot be used: {error}");
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match &settings.client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(read(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| format!("authority {} cannot be used: {error}", path.display()))?,
            )
        }
    };
    let config = builder.with_single_cert(read(&settings.certificate)?, key);
    config.map(Arc::new).map_err(|error| unusable(&error))
}
