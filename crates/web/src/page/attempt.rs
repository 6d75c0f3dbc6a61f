//! Try a line: what the model says of it, and why. Nothing is counted or kept.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use logrisk_base::{PatternId, Risk};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Failure,
    explained::{Explained, Scale},
    forms::PatternForm,
    html,
    text::{Shown, shown},
    visitor::{Frame, Visitor},
};
use crate::{
    access::Scope,
    error::ApiError,
    service::Service,
    view::{Answer, Details},
};

/// Lines of one attempt, as many as the API explains at once.
const LINES: usize = 100;
/// Bytes of one attempt.
const BYTES: usize = 1 << 20;

#[derive(Template)]
#[template(path = "try.html")]
struct TryPage {
    frame: Frame,
    typed: String,
    results: Vec<TryResult>,
    more: usize,
    took: Option<String>,
}

/// What was said of one line.
struct TryResult {
    line: String,
    answer: Answer,
    explained: Explained,
    scale: Scale,
    decision: String,
    /// Whether the pattern was seen, so that there is a page of it.
    seen: bool,
}

impl TryResult {
    fn line(&self) -> Shown {
        shown(&self.line)
    }

    fn id(&self) -> PatternId {
        self.answer.pattern_id
    }
}

/// What is tried.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    #[serde(default)]
    lines: String,
    /// A correction of the line's pattern.
    pattern: Option<String>,
    risk: Option<String>,
}

/// `GET /ui/try`.
pub(crate) async fn empty(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let frame = visitor.frame(&service, "Try a line", "try");
    html(StatusCode::OK, &TryPage { frame, typed: String::new(), results: Vec::new(), more: 0, took: None })
}

/// `POST /ui/try`. By POST, so that a line never stands in an address or in a proxy's log.
pub(crate) async fn page(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(attempt): Form<Attempt>,
) -> Response {
    let frame = visitor.frame(&service, "Try a line", "try");
    match attempt.answered(&service, &visitor, frame.clone()).await {
        Ok(page) => html(StatusCode::OK, &page),
        Err(error) => Failure::new(frame, error).into_response(),
    }
}

impl Attempt {
    async fn answered(
        self,
        service: &Arc<Service>,
        visitor: &Visitor,
        frame: Frame,
    ) -> Result<TryPage, ApiError> {
        visitor.needs(Scope::Predict, "Tries")?;
        if self.lines.len() > BYTES {
            let sentence = "More than one mebibyte: send it to /ingest or to logrisk score.";
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", sentence));
        }
        if let Some(pattern) = &self.pattern {
            let (risk, log) = (self.risk.clone(), Some(self.lines.clone()));
            let form = PatternForm { risk, log, ..PatternForm::default() };
            form.done(service, visitor, pattern, "risk".to_owned()).await?;
        }
        let began = std::time::Instant::now();
        let mut lines: Vec<String> =
            self.lines.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        let more = lines.len().saturating_sub(LINES);
        lines.truncate(LINES);
        let details = Details { explain: true, ..Details::default() };
        let answers = service.answer_all(lines.clone(), true, details).await?;
        let took = format!("scored and weighed in {} ms", began.elapsed().as_millis());
        let model = frame.model.as_ref().map_or("", |(short, _)| short.as_str());
        let results = lines
            .into_iter()
            .zip(answers)
            .map(|(line, answer)| {
                let reasons = answer.explanation.as_ref().unwrap_or(&Value::Null);
                let masked = reasons.get("masked").and_then(Value::as_str).unwrap_or(&line);
                let explained = Explained::read(reasons, masked);
                let bound = |risk: u8| Risk::new(risk).unwrap_or(Risk::MAX);
                TryResult {
                    decision: explained.decision(model),
                    scale: Scale {
                        risk: answer.risk_label,
                        score: answer.risk_score,
                        interval: answer.risk_interval.map(|[low, high]| (bound(low), bound(high))),
                    },
                    seen: service.pattern_detail(answer.pattern_id, Timestamp::now()).is_some(),
                    explained,
                    answer,
                    line,
                }
            })
            .collect();
        Ok(TryPage { frame, typed: self.lines, results, more, took: Some(took) })
    }
}
