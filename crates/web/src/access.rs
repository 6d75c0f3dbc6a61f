//! Who may do what: keys with scopes, rates, and the origins whose pages may write.
//!
//! Without keys everybody may do everything: right on a laptop, where the server listens on the loopback address alone.
//! With keys each request names one (`Authorization: Bearer …`, `X-API-Key`, or the page's cookie). Keys are kept as
//! SHA-256: they are long and random, so that a slow hash would protect nothing and cost every request.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use axum::http::{HeaderMap, Method, StatusCode, header};
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;

/// The cookie that holds the page's key, since a browser's event stream cannot send headers.
pub const KEY_COOKIE: &str = "logrisk_key";

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Patterns, streams, series, models, metrics, the page.
    Read,
    /// Scoring and ingesting lines.
    Predict,
    /// Correcting, acknowledging and silencing patterns.
    Feedback,
    /// Changing the model in use.
    Admin,
}

impl Scope {
    /// Its name in settings and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Predict => "predict",
            Self::Feedback => "feedback",
            Self::Admin => "admin",
        }
    }

    /// What a request needs; `None` for what is open to all. The page's own paths are open here: its handlers decide
    /// what to show to whom.
    #[must_use]
    pub fn needed(method: &Method, path: &str) -> Option<Self> {
        let read = method == Method::GET || method == Method::HEAD;
        match path {
            "/" | "/health" | "/healthz" | "/livez" | "/readyz" | "/version" | "/openapi.json" => None,
            _ if path.starts_with("/docs") || path.starts_with("/ui/") => None,
            _ if read => Some(Self::Read),
            _ if path.starts_with("/predict") || path == "/ingest" => Some(Self::Predict),
            _ if path.starts_with("/feedback") || path.starts_with("/patterns/") => Some(Self::Feedback),
            _ => Some(Self::Admin),
        }
    }
}

/// A key that the server knows.
#[derive(Debug)]
pub struct Key {
    name: Arc<str>,
    digest: [u8; 32],
    scopes: Vec<Scope>,
    rate: Option<DefaultDirectRateLimiter>,
}

impl Key {
    /// A key by the SHA-256 of its text.
    #[must_use]
    pub fn new(
        name: &str,
        digest: [u8; 32],
        scopes: Vec<Scope>,
        requests_per_second: Option<NonZeroU32>,
    ) -> Self {
        Self {
            name: name.into(),
            digest,
            scopes,
            rate: requests_per_second.map(|rate| RateLimiter::direct(Quota::per_second(rate))),
        }
    }
}

/// Who asks, as far as it is known. In the extensions of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name of the key; `None` where there are no keys, or where none was sent.
    pub name: Option<Arc<str>>,
    /// What may be done.
    pub scopes: Vec<Scope>,
}

impl Identity {
    /// Whether it may.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// All keys, and the origins whose pages may write.
#[derive(Debug, Default)]
pub struct Access {
    keys: Vec<Key>,
    origins: Vec<String>,
}

impl Access {
    /// Without keys everything is open. `origins` are those of other sites whose pages may call, as
    /// `https://dashboard.example`.
    #[must_use]
    pub fn new(keys: Vec<Key>, origins: Vec<String>) -> Self {
        Self { keys, origins }
    }

    /// Whether requests need a key.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Finds out who asks and whether they may.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 for a key without the scope or a page of another site, 429 above
    /// the key's rate.
    pub fn admit(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Identity, ApiError> {
        self.check_origin(method, headers)?;
        let needed = Scope::needed(method, path);
        if self.keys.is_empty() {
            let scopes = vec![Scope::Read, Scope::Predict, Scope::Feedback, Scope::Admin];
            return Ok(Identity { name: None, scopes });
        }
        let Some(secret) = secret_of(headers) else {
            return match needed {
                None => Ok(Identity { name: None, scopes: Vec::new() }),
                Some(_) => Err(ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "key_missing",
                    "send a key: Authorization: Bearer KEY",
                )),
            };
        };
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let Some(key) = self.keys.iter().find(|key| key.digest == digest) else {
            return match needed {
                None => Ok(Identity { name: None, scopes: Vec::new() }),
                Some(_) => Err(ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "key_unknown",
                    "this key is not known; was it withdrawn?",
                )),
            };
        };
        if let Some(scope) = needed
            && !key.scopes.contains(&scope)
        {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "scope_missing",
                format!("this needs a key with the scope {}; {} has not", scope.as_str(), key.name),
            ));
        }
        if let Some(rate) = &key.rate
            && let Err(refused) = rate.check()
        {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            let detail = format!("key {} asks too often; try again later", key.name);
            return Err(ApiError::busy("rate_exceeded", detail, wait.max(Duration::from_millis(1))));
        }
        Ok(Identity { name: Some(Arc::clone(&key.name)), scopes: key.scopes.clone() })
    }

    /// A page of another site may not write in the name of whoever looks at it. Programs send no `Origin`.
    fn check_origin(&self, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
        if method.is_safe() {
            return Ok(());
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("?");
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let own = origin.split_once("://").is_some_and(|(_, place)| place == host);
        if own || self.origins.iter().any(|allowed| allowed == origin) {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "origin_refused",
            "pages of another site may not write here; allow their origin in the settings",
        ))
    }
}

fn secret_of(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim());
    }
    if let Some(value) = headers.get("x-api-key") {
        return value.to_str().ok();
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == KEY_COOKIE).then_some(value))
}

#[cfg(test)]
mod tests;
