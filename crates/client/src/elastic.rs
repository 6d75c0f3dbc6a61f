//! Elasticsearch and OpenSearch over HTTP: requests to one of several hosts.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use logrisk_flow::Secret;
pub use reqwest::{Body, Method, StatusCode};
use reqwest::{
    Certificate,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use serde_json::Value;

/// Letters of an error's text.
const TOLD: usize = 300;

/// The way to a cluster, and who we are there.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// Addresses of nodes, as `https://es-1:9200`.
    pub hosts: &'a [String],
    /// A user.
    pub user: Option<&'a str>,
    /// The user's password.
    pub password: Option<&'a Secret>,
    /// An API key, instead of a user.
    pub api_key: Option<&'a Secret>,
    /// PEM file with the authority of the servers' certificates, if the system does not know it.
    pub certificate_authority: Option<&'a Path>,
    /// How long a request may take.
    pub timeout: Duration,
}

/// Nothing was done, or nothing is known of it: to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whether it is OpenSearch, and not Elasticsearch.
    pub is_opensearch: bool,
    /// Its version.
    pub version: String,
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.is_opensearch { "OpenSearch" } else { "Elasticsearch" };
        write!(formatter, "{kind} {}", self.version)
    }
}

/// Refuses what is no address, and an address with a password in it.
///
/// # Errors
/// The text, and what to write.
pub fn is_address(text: &str, _: &()) -> garde::Result {
    let parsed = reqwest::Url::parse(text);
    if parsed.as_ref().is_ok_and(|url| !url.username().is_empty() || url.password().is_some()) {
        return Err(garde::Error::new(
            "an address holds no user or password; they are settings of their own",
        ));
    }
    let valid = parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    valid
        .then_some(())
        .ok_or_else(|| garde::Error::new(format!("{text:?} is no address; write https://host:9200")))
}

/// A client of one cluster.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    hosts: Vec<String>,
    /// The host that is asked next: hosts take turns, and one that fails is left.
    next: AtomicUsize,
    user: Option<(String, String)>,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// A sentence about a secret or a certificate that is missing.
    pub fn open(cluster: &Cluster<'_>) -> Result<Self, String> {
        // Whoever is first decides for the process; they all take ring.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = cluster.api_key {
            let mut value = HeaderValue::from_str(&format!("ApiKey {}", key.reveal()?))
                .map_err(|_| "the API key has letters that no key has".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let password = cluster.password.map(Secret::reveal).transpose()?;
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10))
            .timeout(cluster.timeout);
        if let Some(path) = cluster.certificate_authority {
            let name = path.display();
            let pem =
                fs::read(path).map_err(|error| format!("could not read the authority {name}: {error}"))?;
            let authority = Certificate::from_pem_bundle(&pem)
                .map_err(|error| format!("{name} has no certificate in PEM: {error}"))?;
            builder = builder.tls_certs_only(authority);
        }
        Ok(Self {
            http: builder.build().map_err(|error| format!("could not start the HTTP client: {error}"))?,
            hosts: cluster.hosts.iter().map(|host| host.trim_end_matches('/').to_owned()).collect(),
            next: AtomicUsize::new(0),
            user: cluster.user.map(|user| (user.to_owned(), password.unwrap_or_default())),
        })
    }

    /// Asks what the cluster is.
    ///
    /// # Errors
    /// The next host does not answer, or as something else.
    pub async fn server(&self) -> Result<Server, Unavailable> {
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
            Unavailable(format!("what answers is neither Elasticsearch nor OpenSearch: {error}"))
        })?;
        Ok(Server {
            is_opensearch: version.distribution.as_deref() == Some("opensearch"),
            version: version.number,
        })
    }

    /// Sends a JSON object; the answer's status and text, whatever they are.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        json: &Value,
    ) -> Result<(StatusCode, Vec<u8>), Unavailable> {
        let body = Body::from(json.to_string());
        self.send(method, path, Some(("application/json", body))).await
    }

    /// Sends a request with a body of that media type; the answer's status and text, whatever they are.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Body)>,
    ) -> Result<(StatusCode, Vec<u8>), Unavailable> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(host) = self.hosts.get(turn % self.hosts.len().max(1)) else {
            return Err(Unavailable("there are no hosts".to_owned()));
        };
        let mut request = self.http.request(method, format!("{host}{path}"));
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password));
        }
        if let Some((kind, body)) = body {
            request = request.header(CONTENT_TYPE, kind).body(body);
        }
        let failed = |error: reqwest::Error| Unavailable(format!("{host}: {}", causes(&error)));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        Ok((status, response.bytes().await.map_err(failed)?.into()))
    }
}

/// An answer that says no.
#[must_use]
pub fn unavailable(status: StatusCode, text: &[u8]) -> Unavailable {
    Unavailable(format!("{status}: {}", head(text)))
}

/// As much of an error's text as is worth telling.
#[must_use]
pub fn head(text: &[u8]) -> String {
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
