//! What the page's buttons do without a script: each form posts here and comes back to where it was.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Form,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::{SignedDuration, Timestamp};
use logrisk_base::{PatternId, Risk, Tag};
use logrisk_catalogue::{NewCorrection, PatternQuery, State as Part};
use serde::Deserialize;

use super::{
    Failure, html,
    visitor::{Anyone, PREFERENCES_COOKIE, SignInPage, Visitor},
};
use crate::{
    access::{Identity, KEY_COOKIE, Scope},
    error::ApiError,
    service::Service,
};

/// How long preferences are kept: a year.
const YEAR: u32 = 31_536_000;

/// Where to go back to: a path of ours, never another site.
fn back(to: &str) -> HeaderValue {
    let own = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
    let to = if own { to } else { "/" };
    HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"))
}

fn see_other(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, back(to))]).into_response()
}

/// What forms about a pattern carry; empty fields are absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PatternForm {
    pub(crate) risk: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) comment: Option<String>,
    /// Hours.
    pub(crate) hours: Option<String>,
    /// A line, where the pattern was not seen yet.
    pub(crate) log: Option<String>,
    pub(crate) back: String,
}

/// `POST /ui/patterns/{id}/{verb}`: `risk`, `ack`, `unack`, `silence`, `unsilence`.
pub(crate) async fn pattern(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
    Form(form): Form<PatternForm>,
) -> Response {
    let to = form.back.clone();
    match form.done(&service, &visitor, &id, verb).await {
        Ok(()) => see_other(&to),
        Err(error) => Failure::new(visitor.frame(&service, "Not saved", "patterns"), error).into_response(),
    }
}

impl PatternForm {
    /// Does it.
    pub(crate) async fn done(
        self,
        service: &Arc<Service>,
        visitor: &Visitor,
        id: &str,
        verb: String,
    ) -> Result<(), ApiError> {
        visitor.needs(Scope::Feedback, "Corrections")?;
        let id: PatternId = id.parse().map_err(|_| ApiError::not_found("There is no such pattern."))?;
        let (service, by) =
            (Arc::clone(service), visitor.identity.name.as_ref().map(|name| name.to_string()));
        super::blocking(move || {
            let now = Timestamp::now();
            let catalogue = &service.catalogue;
            let changed = match verb.as_str() {
                "risk" => return self.correct(&service, id, by, now),
                "ack" => catalogue.acknowledge(id, Some(now)),
                "unack" => catalogue.acknowledge(id, None),
                "silence" => catalogue.silence(id, for_good(now)),
                "unsilence" => catalogue.silence(id, None),
                _ => return Err(ApiError::not_found("There is no such button.")),
            };
            changed.ok_or_else(|| ApiError::not_found("There is no such pattern."))?;
            Ok(catalogue.flush()?)
        })
        .await?
    }

    fn correct(
        self,
        service: &Service,
        id: PatternId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let invalid = |sentence: &str| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", sentence);
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let risk = given(self.risk).and_then(|risk| Risk::new(risk.parse().ok()?).ok());
        let risk = risk.ok_or_else(|| invalid("Choose a risk from 0 to 10."))?;
        let tag = given(self.tag).map(|tag| tag.parse::<Tag>()).transpose();
        let expires = given(self.hours).and_then(|hours| hours.parse().ok()).map(SignedDuration::from_hours);
        let earlier = service.catalogue.correction(id, now).map(|earlier| earlier.risk);
        let (masked, log, was) = match service.catalogue.pattern(id) {
            Some(pattern) => (pattern.masked, None, Some(pattern.risk)),
            None => {
                let log = self.log.ok_or_else(|| ApiError::not_found("There is no such pattern."))?;
                let (text, masked, risk) = service.pattern_of(&log)?;
                if masked.pattern != id {
                    return Err(invalid("The line is of another pattern; try it again."));
                }
                (masked.text.to_string(), Some(text), risk)
            }
        };
        service.correct(NewCorrection {
            pattern: id,
            masked,
            log,
            risk,
            tag: tag.map_err(|error| invalid(&error.to_string()))?,
            comment: given(self.comment).map(|comment| comment.chars().take(2000).collect()),
            by,
            was: earlier.or(was),
            expires: expires.and_then(|span| now.checked_add(span).ok()),
        })?;
        Ok(())
    }
}

/// A hundred years, as the API has it.
fn for_good(now: Timestamp) -> Option<Timestamp> {
    now.checked_add(SignedDuration::from_hours(100 * 365 * 24)).ok()
}

/// A source whose new patterns nobody wants to see.
#[derive(Debug, Deserialize)]
pub(crate) struct SilenceForm {
    source: String,
    #[serde(default)]
    back: String,
}

/// `POST /ui/silence`: the new patterns of a source. They are found again under Silenced.
pub(crate) async fn silence(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(form): Form<SilenceForm>,
) -> Response {
    let done = match visitor.needs(Scope::Feedback, "Silencing") {
        Ok(()) => {
            let service = Arc::clone(&service);
            let work = move || {
                let now = Timestamp::now();
                let new = PatternQuery { state: Part::New, ..PatternQuery::default() };
                service.catalogue.silence_source(&new, &form.source, now, for_good(now));
                Ok(service.catalogue.flush()?)
            };
            super::blocking(work).await.and_then(|done| done)
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => see_other(&form.back),
        Err(error) => {
            Failure::new(visitor.frame(&service, "Not silenced", "patterns"), error).into_response()
        }
    }
}

/// A form that only says where it stood.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BackForm {
    back: String,
}

/// `POST /ui/corrections/{id}/undo`.
pub(crate) async fn undo(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Path(id): Path<u64>,
    Form(form): Form<BackForm>,
) -> Response {
    let revoked = match visitor.needs(Scope::Feedback, "Corrections") {
        Ok(()) => {
            let service = Arc::clone(&service);
            super::blocking(move || service.revoke(id)).await.and_then(|revoked| revoked)
        }
        Err(error) => Err(error),
    };
    match revoked {
        Ok(_) => see_other(&form.back),
        Err(error) => Failure::new(visitor.frame(&service, "Not saved", "patterns"), error).into_response(),
    }
}

/// Which model.
#[derive(Debug, Deserialize)]
pub(crate) struct ModelForm {
    version: String,
}

/// `POST /ui/models`.
pub(crate) async fn activate(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(form): Form<ModelForm>,
) -> Response {
    let by = visitor.identity.name.as_ref().map(|name| name.to_string());
    let changed = match visitor.needs(Scope::Admin, "Changes of the model") {
        Ok(()) => {
            let service = Arc::clone(&service);
            // On a task of its own: whoever leaves does not stop a change half way.
            let change = tokio::spawn(async move { service.activate(Some(&form.version), by).await });
            match change.await {
                Ok(changed) => changed.map_err(ApiError::from),
                Err(_) => Err(ApiError::not_found("The model could not be changed.")),
            }
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => see_other("/ui/models"),
        Err(error) => Failure::new(visitor.frame(&service, "Not changed", "models"), error).into_response(),
    }
}

/// A key, typed once.
#[derive(Debug, Deserialize)]
pub(crate) struct SessionForm {
    #[serde(default)]
    key: String,
    #[serde(default)]
    back: String,
}

/// `POST /ui/session`: puts the key into a cookie that no script can read, or, for an empty one, forgets it.
pub(crate) async fn session(
    State(service): State<Arc<Service>>,
    Anyone(mut visitor): Anyone,
    headers: HeaderMap,
    Form(form): Form<SessionForm>,
) -> Response {
    let key = form.key.trim();
    // Browsers tell where the form stood: over TLS the cookie never leaves it.
    let encrypted =
        headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if encrypted { "; Secure" } else { "" };
    let attributes = format!("Path=/; HttpOnly; SameSite=Strict{secure}");
    if key.is_empty() {
        let gone = format!("{KEY_COOKIE}=; Max-Age=0; {attributes}");
        return with_cookie(see_other("/"), &gone);
    }
    let mut asking = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(key) {
        asking.insert("x-api-key", value);
    }
    // A character that ends a cookie's value is in no key that we would find.
    let storable = key.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte));
    match service.access.admit(&Method::GET, "/patterns", &asking) {
        Ok(_) if storable => with_cookie(see_other(&form.back), &format!("{KEY_COOKIE}={key}; {attributes}")),
        refused => {
            visitor.identity = Identity { name: None, scopes: Vec::new() };
            let sentence = match refused {
                Err(ApiError::Other { detail, .. }) => detail,
                _ => "this key is not known; was it withdrawn?".to_owned(),
            };
            let mut frame = visitor.frame(&service, "Sign in", "sign-in");
            frame.back = form.back;
            html(StatusCode::UNAUTHORIZED, &SignInPage { frame, refused: Some(sentence) })
        }
    }
}

/// `POST /ui/preferences`: sets those that are named.
pub(crate) async fn preferences(
    Anyone(visitor): Anyone,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut preferences = visitor.preferences;
    for (name, value) in &form {
        preferences.set(name, value);
    }
    let to = form.get("back").map_or("/", String::as_str);
    let cookie =
        format!("{PREFERENCES_COOKIE}={}; Path=/; Max-Age={YEAR}; SameSite=Strict", preferences.written());
    with_cookie(see_other(to), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
