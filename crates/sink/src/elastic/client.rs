//! Requests to one of several hosts.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use reqwest::{
    Body, Certificate, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use serde_json::Value;

use super::ElasticSettings;
use crate::SinkError;

/// How much of an error's text is worth telling.
const TOLD: usize = 300;

/// What a server says of itself.
pub(super) struct Server {
    pub(super) is_opensearch: bool,
    pub(super) version: String,
}

/// A client of one cluster.
pub(super) struct Client {
    http: reqwest::Client,
    hosts: Vec<String>,
    /// The host that is asked next: hosts take turns, and one that fails is left.
    next: AtomicUsize,
    user: Option<(String, String)>,
}

impl Client {
    pub(super) fn open(settings: &ElasticSettings) -> Result<Self, String> {
        // Whoever is first decides for the process; they all take ring.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.api_key {
            let mut value = HeaderValue::from_str(&format!("ApiKey {}", key.reveal()?))
                .map_err(|_| "the API key has letters that no key has".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let password = settings.password.as_ref().map(|password| password.reveal()).transpose()?;
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(u64::from(settings.timeout_secs)));
        if let Some(path) = &settings.certificate_authority {
            let name = path.display();
            let pem =
                fs::read(path).map_err(|error| format!("could not read the authority {name}: {error}"))?;
            let authority = Certificate::from_pem_bundle(&pem)
                .map_err(|error| format!("{name} has no certificate in PEM: {error}"))?;
            builder = builder.tls_certs_only(authority);
        }
        Ok(Self {
            http: builder.build().map_err(|error| format!("could not start the HTTP client: {error}"))?,
            hosts: settings.hosts.iter().map(|host| host.trim_end_matches('/').to_owned()).collect(),
            next: AtomicUsize::new(0),
            user: settings.user.clone().map(|user| (user, password.unwrap_or_default())),
        })
    }

    pub(super) async fn server(&self) -> Result<Server, SinkError> {
        #[derive(Deserialize)]
        struct Root {
            version: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            number: String,
            distribution: Option<String>,
        }
        let (status, text) = self.send(Method::GET, "/", None).await?;
        if !status.is_success() {
            return Err(unavailable(status, &text));
        }
        let Root { version } = serde_json::from_slice(&text).map_err(|error| {
            SinkError::Unavailable(format!("what answers is neither Elasticsearch nor OpenSearch: {error}"))
        })?;
        Ok(Server {
            is_opensearch: version.distribution.as_deref() == Some("opensearch"),
            version: version.number,
        })
    }

    /// Puts a JSON object; the answer's status and text, whatever they are.
    pub(super) async fn put(&self, path: &str, json: &Value) -> Result<(StatusCode, Vec<u8>), SinkError> {
        let body = Body::from(json.to_string());
        self.send(Method::PUT, path, Some(("application/json", body))).await
    }

    /// Sends a bulk body and gives the answer's text.
    pub(super) async fn bulk(&self, body: Body) -> Result<Vec<u8>, SinkError> {
        // Of what was written well, only the status is of interest.
        let path = "/_bulk?filter_path=errors,items.*.status,items.*.error";
        let (status, text) = self.send(Method::POST, path, Some(("application/x-ndjson", body))).await?;
        match status {
            StatusCode::OK => Ok(text),
            // What is wrong with it shows in halves.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST => {
                Err(SinkError::TooLarge(format!("{status}: {}", head(&text))))
            }
            _ => Err(unavailable(status, &text)),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Body)>,
    ) -> Result<(StatusCode, Vec<u8>), SinkError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(host) = self.hosts.get(turn % self.hosts.len().max(1)) else {
            return Err(SinkError::Unavailable("there are no hosts".to_owned()));
        };
        let mut request = self.http.request(method, format!("{host}{path}"));
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password));
        }
        if let Some((kind, body)) = body {
            request = request.header(CONTENT_TYPE, kind).body(body);
        }
        let failed = |error: reqwest::Error| SinkError::Unavailable(format!("{host}: {}", causes(&error)));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        Ok((status, response.bytes().await.map_err(failed)?.into()))
    }
}

pub(super) fn unavailable(status: StatusCode, text: &[u8]) -> SinkError {
    SinkError::Unavailable(format!("{status}: {}", head(text)))
}

fn head(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(TOLD).collect()
}

/// The error with its causes: "error sending request" alone tells nobody anything. Without the address, which may hold a
/// password.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(own) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&own.to_string());
        cause = own.source();
    }
    if error.is_timeout() { format!("no answer in time ({text})") } else { text }
}
