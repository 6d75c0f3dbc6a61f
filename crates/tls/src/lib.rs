//! TLS from PEM files, read anew when they change, with or without certificates of clients.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde::Deserialize;

/// How often the files are looked at. Certificates are renewed days before they expire.
const LOOK: Duration = Duration::from_secs(5);

/// Where certificates lie.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The server's certificate, then those between it and its authority.
    pub certificate: PathBuf,
    /// The key of the first certificate.
    pub key: PathBuf,
    /// Authorities whose certificates clients must show; without it, none is asked for.
    pub client_authority: Option<PathBuf>,
}

/// Why the files make no server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM file of its kind.
    #[error("could not read {what} {}: {cause}", file.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        file: PathBuf,
        /// What went wrong.
        cause: String,
    },
    /// Certificate and key do not belong together, or the authorities are none.
    #[error("the certificate {} cannot be used: {cause}", file.display())]
    Refused {
        /// The server's certificate.
        file: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

/// The configuration in use, and the files that it came from.
pub struct Tls {
    files: TlsFiles,
    protocols: Vec<Vec<u8>>,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files. `protocols` are what clients may ask for (ALPN), as `http/1.1`; none where there is no choice.
    ///
    /// # Errors
    /// [`TlsError`] with the file's name.
    pub fn open(files: TlsFiles, protocols: &[&str]) -> Result<Arc<Self>, TlsError> {
        let protocols: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let config = ArcSwap::from_pointee(read(&files, &protocols)?);
        Ok(Arc::new(Self { files, protocols, config }))
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files anew whenever one of them changes. Files that cannot be used leave the old ones in use.
    /// Never ends.
    pub async fn follow(&self) {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.stamps();
            if now == seen {
                continue;
            }
            seen = now;
            match read(&self.files, &self.protocols) {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    tracing::info!("new certificates are in use");
                }
                Err(error) => {
                    tracing::warn!(%error, "new certificates cannot be used; the old ones stay in use")
                }
            }
        }
    }

    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files =
            [Some(&self.files.certificate), Some(&self.files.key), self.files.client_authority.as_ref()];
        let stamp =
            |path: &PathBuf| fs::metadata(path).and_then(|data| Ok((data.modified()?, data.len()))).ok();
        files.into_iter().map(|file| file.and_then(stamp)).collect()
    }
}

fn read(files: &TlsFiles, protocols: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
    let refused = |error: &dyn std::fmt::Display| TlsError::Refused {
        file: files.certificate.clone(),
        cause: error.to_string(),
    };
    let chain = certificates("certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::File {
        what: "key",
        file: files.key.clone(),
        cause: error.to_string(),
    })?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?;
    let builder = match &files.client_authority {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client authority", file)? {
                roots.add(certificate).map_err(|error| refused(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| refused(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| refused(&error))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |cause: String| TlsError::File { what, file: file.to_owned(), cause };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed(io::Error::from(io::ErrorKind::InvalidData).to_string()));
    }
    Ok(certificates)
}
