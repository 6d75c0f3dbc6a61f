//! Models: which one judges, how good it is, and the way back.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Failure, html,
    text::{Shown, day, short_version, shown},
    visitor::{Frame, Visitor},
};
use crate::{
    compare::{Comparison, Moved},
    service::Service,
    view::ModelRow,
};

#[derive(Template)]
#[template(path = "models.html")]
struct ModelsPage {
    frame: Frame,
    models: Vec<ModelLine>,
    /// The one in use, since when, and the one before.
    active: Option<String>,
    since: Option<Timestamp>,
    previous: Option<ModelName>,
    corrections: usize,
}

struct ModelName {
    short: String,
    version: String,
}

/// A model in the table.
struct ModelLine {
    short: String,
    version: String,
    created: String,
    origin: String,
    active: bool,
    /// Kappa, within one, calibration error at 7, unsure; `.` where the manifest does not say.
    figures: [String; 4],
}

impl ModelLine {
    fn new(row: ModelRow) -> Self {
        let figure = |paths: &[&str]| {
            let found = paths.iter().find_map(|path| row.figures.pointer(path).and_then(Value::as_f64));
            found.map_or_else(
                || "·".to_owned(),
                |value| format!("{value:.2}").trim_start_matches('0').to_owned(),
            )
        };
        let figures = [
            figure(&["/validation/validation/kappa", "/validation/kappa", "/kappa"]),
            figure(&["/validation/validation/within_one", "/validation/within_one", "/within_one"]),
            figure(&["/calibration/after/calibration_error_7", "/calibration/calibration_error_7"]),
            figure(&["/calibration/unsure"]),
        ];
        Self {
            short: short_version(&row.version),
            created: row.created.parse::<Timestamp>().map_or(row.created, day),
            version: row.version,
            origin: row.origin,
            active: row.active,
            figures,
        }
    }
}

/// What the figures are called.
const FIGURES: [&str; 4] = ["kappa", "within 1", "error at 7", "unsure"];

impl ModelLine {
    /// The figures with their names.
    fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        FIGURES.into_iter().zip(self.figures.iter().map(String::as_str))
    }
}

#[derive(Template)]
#[template(path = "compare.html")]
struct ComparePage {
    frame: Frame,
    version: String,
    short: String,
    current: String,
    comparison: Comparison,
}

impl ComparePage {
    fn tables(&self) -> [(&'static str, &[Moved]); 2] {
        [
            ("Patterns that move", &self.comparison.moved),
            ("Corrections that the model by itself misses", &self.comparison.missed),
        ]
    }
}

impl Moved {
    fn shown(&self) -> Shown {
        shown(&self.masked)
    }
}

/// `GET /ui/models/{version}`: what would change if this model judged.
pub(crate) async fn compare(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Path(version): Path<String>,
) -> Response {
    let frame = visitor.frame(&service, "Models", "models");
    let current = service.model_version().as_deref().map(short_version).unwrap_or_default();
    match service.compare(version.clone()).await {
        Ok(comparison) => {
            let short = short_version(&version);
            html(StatusCode::OK, &ComparePage { frame, version, short, current, comparison })
        }
        Err(error) => Failure::new(frame, error).into_response(),
    }
}

/// `GET /ui/models`.
pub(crate) async fn page(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let frame = visitor.frame(&service, "Models", "models");
    let list = match service.model_list().await {
        Ok(list) => list,
        Err(error) => return Failure::new(frame, error).into_response(),
    };
    let previous = list.previous.filter(|previous| Some(previous) != list.active.as_ref());
    let page = ModelsPage {
        frame,
        models: list.models.into_iter().map(ModelLine::new).collect(),
        active: list.active.as_deref().map(short_version),
        since: list.since,
        previous: previous.map(|version| ModelName { short: short_version(&version), version }),
        corrections: service.correction_list(Timestamp::now()).active,
    };
    html(StatusCode::OK, &page)
}
