//! Why a pattern that was seen has its risk: for the API and the page.

use std::{slice, sync::Arc};

use axum::http::StatusCode;
use logrisk_base::PatternId;
use serde_json::Value;

use crate::{
    engine::{Masked, Verdict},
    error::ApiError,
    service::Service,
};

impl Service {
    /// The verdict on a text and its reasons, as [`crate::Engine::explain`] tells them. Costs as much as judging the text
    /// once for each of its words.
    pub(crate) async fn why(
        self: &Arc<Self>,
        masked: Masked,
    ) -> Result<(Option<Verdict>, Option<Value>), ApiError> {
        let loaded = self.require_model()?;
        let asked = tokio::task::spawn_blocking(move || {
            let engine = &*loaded.engine;
            let known = engine.known(&masked);
            let verdict = known.or_else(|| engine.assess(slice::from_ref(&masked)).first().copied());
            (verdict, engine.explain(&masked))
        });
        asked.await.map_err(|_| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "scoring_failed",
                "the line could not be explained",
            )
        })
    }

    /// A pattern as the model reads it: masked anew from a line of it, so that the declared level is known; its text
    /// where the line was cut or the masks are others by now.
    pub(crate) fn read_again(&self, pattern: PatternId, text: &str, sample: Option<&str>) -> Masked {
        let again = self
            .loaded()
            .zip(sample)
            .map(|(loaded, sample)| loaded.engine.mask(sample, true))
            .filter(|masked| masked.pattern == pattern);
        again.unwrap_or_else(|| Masked { pattern, text: text.into(), level: None })
    }
}
