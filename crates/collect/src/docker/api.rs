//! Requests to Docker's socket. One connection for each: those of logs last as long as their containers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::handshake,
    header::HOST,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{net::UnixStream, task::JoinHandle, time::timeout};

/// Until an answer begins, or a list is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer in JSON: a list of some ten thousand containers.
const ANSWER: usize = 16 << 20;

/// Docker's API.
#[derive(Debug)]
pub(super) struct Api {
    socket: PathBuf,
}

/// An answer that comes piece by piece. Dropping it closes its connection.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Api {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Asks; whatever the status is.
    ///
    /// # Errors
    /// A sentence with the socket's name, if nobody answers.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, String> {
        let socket = self.socket.display();
        let failed = |error: &dyn std::fmt::Display| format!("{socket}: {error}");
        let asked = async {
            let stream = UnixStream::connect(&self.socket).await.map_err(|error| failed(&error))?;
            let (mut sender, connection) =
                handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
            // How it ends shows in the answer.
            let connection = tokio::spawn(async move { _ = connection.await });
            let request = Request::get(path).header(HOST, "docker").body(Empty::<Bytes>::new());
            let request = request.map_err(|error| failed(&error))?;
            let (head, body) =
                sender.send_request(request).await.map_err(|error| failed(&error))?.into_parts();
            Ok(Answer { status: head.status, body, connection })
        };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(failed(&"no answer in time")))
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// A sentence, in Docker's words where it has some.
    pub(super) async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let answer = self.get(path).await?;
        if !answer.status.is_success() {
            return Err(answer.error().await);
        }
        let bytes = answer.all().await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("{}: what answers is no Docker: {error}", self.socket.display()))
    }
}

impl Answer {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// A connection that broke off.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_) => continue,
                },
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }

    /// What Docker says of a failure.
    pub(super) async fn error(self) -> String {
        #[derive(Deserialize)]
        struct Failure {
            message: String,
        }
        let status = self.status;
        let told = self.all().await.ok().and_then(|bytes| serde_json::from_slice::<Failure>(&bytes).ok());
        told.map_or_else(|| format!("status {status}"), |told| told.message)
    }

    async fn all(mut self) -> Result<Bytes, String> {
        let all = timeout(PATIENCE, Limited::new(&mut self.body, ANSWER).collect()).await;
        let all = all.map_err(|_| "the answer is slow".to_owned())?;
        all.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
