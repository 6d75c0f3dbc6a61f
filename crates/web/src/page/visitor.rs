//! Who looks, how they like it, and what every page has around its own part.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use jiff::Timestamp;
use logrisk_catalogue::{PatternQuery, State};

use super::{
    assets, html,
    text::{grouped, short_version},
};
use crate::{
    access::{Identity, Scope},
    error::ApiError,
    service::Service,
};

/// The cookie that holds [`Preferences`].
pub(crate) const PREFERENCES_COOKIE: &str = "prefs";

/// How somebody likes the page. Rendered as attributes of the root, so that nothing flashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Preferences {
    /// `auto`, `light` or `dark`.
    pub(crate) theme: &'static str,
    /// `regular` or `compact`.
    pub(crate) density: &'static str,
    /// Single keys: `on` or `off` (WCAG 2.1.4).
    pub(crate) keys: &'static str,
    /// `local` or `utc`.
    pub(crate) zone: &'static str,
    /// Whether screen readers are told of what is new: `on` or `off`.
    pub(crate) speak: &'static str,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { theme: "auto", density: "regular", keys: "on", zone: "local", speak: "on" }
    }
}

impl Preferences {
    /// Reads `theme.dark:keys.off`; what is unknown is left as it is.
    pub(crate) fn read(text: &str) -> Self {
        let mut preferences = Self::default();
        for (name, value) in text.split(':').filter_map(|pair| pair.split_once('.')) {
            preferences.set(name, value);
        }
        preferences
    }

    /// Sets one of them, if name and value are known.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let (field, values): (_, &[&'static str]) = match name {
            "theme" => (&mut self.theme, &["auto", "light", "dark"]),
            "density" => (&mut self.density, &["regular", "compact"]),
            "keys" => (&mut self.keys, &["on", "off"]),
            "zone" => (&mut self.zone, &["local", "utc"]),
            "speak" => (&mut self.speak, &["on", "off"]),
            _ => return,
        };
        if let Some(value) = values.iter().find(|known| **known == value) {
            *field = value;
        }
    }

    /// As the cookie holds them.
    pub(crate) fn written(self) -> String {
        let Self { theme, density, keys, zone, speak } = self;
        format!("theme.{theme}:density.{density}:keys.{keys}:zone.{zone}:speak.{speak}")
    }
}

/// What stands around each page.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) title: &'static str,
    /// `now`, `patterns`, …: which link of the head is the current one.
    pub(crate) name: &'static str,
    pub(crate) preferences: Preferences,
    /// Where the style and the scripts are.
    pub(crate) assets: &'static str,
    /// Where this page is, to come back to.
    pub(crate) back: String,
    /// Patterns in the inbox.
    pub(crate) new_patterns: String,
    /// The model in use, short and in full.
    pub(crate) model: Option<(String, String)>,
    pub(crate) lines_per_second: String,
    /// The scopes of the visitor, for the script: `read feedback`.
    pub(crate) scopes: String,
    pub(crate) may_correct: bool,
    pub(crate) may_predict: bool,
    pub(crate) may_administer: bool,
    /// The visitor's key.
    pub(crate) key: Option<String>,
    /// Whether the visitor may see anything.
    pub(crate) signed_in: bool,
    /// What curl is given to come here.
    pub(crate) origin: String,
    /// The risk from which alerts are sent, if they are.
    pub(crate) pages: String,
}

impl Frame {
    /// The choices of the settings: name, words, and each value with its words.
    pub(crate) fn settings(&self) -> [Setting; 5] {
        let preferences = self.preferences;
        [
            Setting::new(
                "theme",
                "Theme",
                preferences.theme,
                &[("auto", "system"), ("light", "light"), ("dark", "dark")],
            ),
            Setting::new(
                "density",
                "Rows",
                preferences.density,
                &[("regular", "regular"), ("compact", "compact")],
            ),
            Setting::new("zone", "Times", preferences.zone, &[("local", "local"), ("utc", "UTC")]),
            Setting::new("keys", "Single keys", preferences.keys, &[("on", "on"), ("off", "off")]),
            Setting::new("speak", "Spoken news", preferences.speak, &[("on", "on"), ("off", "off")]),
        ]
    }
}

/// One choice of the settings.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    /// Value, words, whether it is chosen.
    pub(crate) values: Vec<(&'static str, &'static str, bool)>,
}

impl Setting {
    fn new(
        name: &'static str,
        words: &'static str,
        chosen: &str,
        values: &[(&'static str, &'static str)],
    ) -> Self {
        let values = values.iter().map(|(value, words)| (*value, *words, *value == chosen)).collect();
        Self { name, words, values }
    }
}

/// Who looks at a page; in its place, whoever may not look gets the form that asks for a key.
pub(crate) struct Visitor {
    pub(crate) identity: Identity,
    pub(crate) preferences: Preferences,
    back: String,
    origin: String,
}

/// The form that asks for a key.
#[derive(Template)]
#[template(path = "sign-in.html")]
pub(crate) struct SignInPage {
    pub(crate) frame: Frame,
    pub(crate) refused: Option<String>,
}

impl FromRequestParts<Arc<Service>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Response> {
        let visitor = Self::anyone(parts);
        if visitor.identity.may(Scope::Read) {
            return Ok(visitor);
        }
        let refused = visitor.identity.name.as_ref().map(|name| {
            format!("Key {name} has not the scope read, which this page needs. Sign in with another one.")
        });
        let frame = visitor.frame(service, "Sign in", "sign-in");
        Err(html(StatusCode::UNAUTHORIZED, &SignInPage { frame, refused }))
    }
}

/// A visitor who may be nobody.
pub(crate) struct Anyone(pub(crate) Visitor);

impl<S: Send + Sync> FromRequestParts<S> for Anyone {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Visitor::anyone(parts)))
    }
}

impl Visitor {
    fn anyone(parts: &Parts) -> Self {
        let identity = parts.extensions.get::<Identity>().cloned();
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        // A name for quoting in commands: nothing but what names of hosts hold.
        let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
        let back = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        Self {
            identity: identity.unwrap_or(Identity { name: None, scopes: Vec::new() }),
            preferences: cookies(&parts.headers)
                .get(PREFERENCES_COOKIE)
                .map_or_else(Preferences::default, |text| Preferences::read(text)),
            back: back.to_owned(),
            origin: format!("http://{}", if plain { host } else { "localhost:8000" }),
        }
    }

    /// Checks a scope.
    pub(crate) fn needs(&self, scope: Scope, what: &str) -> Result<(), ApiError> {
        if self.identity.may(scope) {
            return Ok(());
        }
        let sentence = format!("{what} need a key with the scope {}.", scope.as_str());
        Err(ApiError::new(StatusCode::FORBIDDEN, "scope_missing", sentence))
    }

    /// What stands around a page. Looks at all patterns once: microseconds a thousand.
    pub(crate) fn frame(&self, service: &Service, title: &'static str, name: &'static str) -> Frame {
        let now = Timestamp::now();
        let signed_in = self.identity.may(Scope::Read);
        let query = PatternQuery { state: State::New, ..PatternQuery::default() };
        let new_patterns = if signed_in { service.catalogue.patterns(&query, now).total } else { 0 };
        // The last slot of ten seconds that is over.
        let recent = service.catalogue.series(now, 20, 2);
        let lines = recent.first().map_or(0, |bucket| bucket.by_risk.iter().sum::<u64>());
        let scopes: Vec<_> = self.identity.scopes.iter().map(|scope| scope.as_str()).collect();
        Frame {
            title,
            name,
            preferences: self.preferences,
            assets: assets::folder(),
            back: self.back.clone(),
            new_patterns: grouped(new_patterns as u64),
            model: service.model_version().map(|version| (short_version(&version), version)),
            lines_per_second: grouped(lines / 10),
            scopes: scopes.join(" "),
            may_correct: self.identity.may(Scope::Feedback),
            may_predict: self.identity.may(Scope::Predict),
            may_administer: self.identity.may(Scope::Admin),
            key: self.identity.name.as_ref().map(|name| name.to_string()),
            signed_in,
            origin: self.origin.clone(),
            pages: service.alerts.as_ref().map(|alerts| alerts.min_risk().to_string()).unwrap_or_default(),
        }
    }
}

/// All cookies of a request.
fn cookies(headers: &HeaderMap) -> HashMap<&str, &str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_as_they_are_written() {
        let mut preferences = Preferences::read("theme.dark:keys.off:theme.pink:x.y");
        assert_eq!((preferences.theme, preferences.keys), ("dark", "off"));
        preferences.set("density", "compact");
        assert_eq!(Preferences::read(&preferences.written()), preferences);
    }
}
