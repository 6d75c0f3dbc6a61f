//! Now: what is wrong, and what first.

use std::sync::Arc;

use askama::Template;
use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use logrisk_catalogue::{PatternQuery, Sort};
use serde::Serialize;

use super::{
    draw::Chart,
    html,
    query::{Parameters, View, WINDOWS},
    rows::{Band, SourceRisk},
    text::{Shown, clock, grouped, shown},
    visitor::{Frame, Visitor},
};
use crate::{api, service::Service};

/// Lines that the tail begins with.
const TAIL: usize = 100;

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage {
    frame: Frame,
    view: View,
    bands: Vec<Band>,
    sources: Vec<SourceRisk>,
    lines: Vec<TailLine>,
    chart: Chart,
    /// Nothing was ever sent.
    empty: bool,
    /// What the list has to say besides its rows.
    sentence: Option<String>,
}

/// A line of the tail.
struct TailLine {
    id: String,
    risk: u8,
    width: u8,
    time: Timestamp,
    source: Shown,
    text: Shown,
}

impl NowPage {
    fn windows(&self) -> Vec<(&'static str, &'static str, bool)> {
        let chosen = self.view.window().0;
        WINDOWS.iter().map(|(name, words, _)| (*name, *words, *name == chosen)).collect()
    }

    fn sum(&self, level: usize) -> String {
        grouped(self.chart.sums().get(level).copied().unwrap_or(0))
    }

    fn range(&self) -> Option<(String, String)> {
        self.view.range.map(|(from, to)| (clock(from), clock(to)))
    }
}

/// `GET /`. Whoever does not ask for HTML is told what every unknown path is told: clients of Elasticsearch probe it.
pub(crate) async fn page(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    visitor: Result<Visitor, Response>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if !accepts.into_iter().any(|value| value.contains("text/html")) {
        return api::unknown_path().await;
    }
    let visitor = match visitor {
        Ok(visitor) => visitor,
        Err(sign_in) => return sign_in,
    };
    let view = View::new(parameters);
    let made = super::blocking(move || NowPage::new(&service, &visitor, view)).await;
    match made {
        Ok(page) => html(StatusCode::OK, &page),
        Err(error) => error.into_response(),
    }
}

impl NowPage {
    fn new(service: &Service, visitor: &Visitor, view: View) -> Self {
        let now = Timestamp::now();
        let listing = service.listing(&view, now);
        let lines = if view.tail { tail(service, &view, now) } else { Vec::new() };
        let sentence = sentence(&view, &listing.bands);
        Self {
            frame: visitor.frame(service, "Now", "now"),
            empty: service.catalogue.is_empty(),
            bands: listing.bands,
            sources: listing.sources,
            chart: Chart::of(service, &view, now),
            view,
            lines,
            sentence,
        }
    }
}

/// The newest lines that are kept of the patterns in view, the newest last.
fn tail(service: &Service, view: &View, now: Timestamp) -> Vec<TailLine> {
    let query = PatternQuery { sort: Sort::LastSeen, limit: TAIL, ..view.now_query(now) };
    let page = service.catalogue.patterns(&query, now);
    let mut lines: Vec<TailLine> = Vec::new();
    for (pattern, correction) in &page.patterns {
        let risk = correction.as_ref().map_or(pattern.risk, |correction| correction.risk);
        lines.extend(pattern.samples.iter().map(|sample| TailLine {
            id: pattern.id.to_string(),
            risk: risk.get(),
            width: 4 * risk.get(),
            time: sample.at,
            source: shown(&sample.source),
            text: shown(&sample.text),
        }));
    }
    lines.sort_by_key(|line| line.time);
    lines.split_off(lines.len().saturating_sub(TAIL))
}

/// What there is to say where the list is short of something.
fn sentence(view: &View, bands: &[Band]) -> Option<String> {
    if let Some(mistake) = &view.mistake {
        return Some(mistake.clone());
    }
    let words = view.window().1;
    let patterns: usize = bands.iter().map(|band| band.patterns).sum();
    if patterns == 0 {
        return Some(if view.is_plain() {
            format!("No lines in the last {words}. Widen to 24 h.")
        } else {
            format!("No pattern matches `{}` in the last {words}.", view.filter)
        });
    }
    let risky = bands.iter().filter(|band| band.lowest >= 6).map(|band| band.patterns).sum::<usize>();
    if risky > 0 {
        return None;
    }
    let routine: u64 = bands.iter().filter(|band| band.highest <= 3).map(|band| band.lines).sum();
    Some(format!("Nothing at risk 6 or above in the last {words}. {} routine lines.", grouped(routine)))
}

/// What the script needs to bring Now up to date.
#[derive(Serialize)]
struct RowsAnswer {
    bands: Vec<Band>,
    chart: Chart,
    /// The stream of this view, and the API's list of the same patterns.
    stream: String,
    api: String,
    sentence: Option<String>,
    /// Patterns in the inbox.
    inbox: String,
    /// The model in use, short.
    model: Option<String>,
}

/// `GET /ui/rows`: what Now shows, as JSON.
pub(crate) async fn rows(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Query(parameters): Query<Parameters>,
) -> Response {
    let view = View::new(parameters);
    let made = super::blocking(move || {
        let now = Timestamp::now();
        let frame = visitor.frame(&service, "Now", "now");
        let bands = service.listing(&view, now).bands;
        let sentence = sentence(&view, &bands);
        RowsAnswer {
            bands,
            chart: Chart::of(&service, &view, now),
            stream: view.stream(),
            api: view.now_api(),
            sentence,
            inbox: frame.new_patterns,
            model: frame.model.map(|(short, _)| short),
        }
    });
    match made.await {
        Ok(rows) => Json(rows).into_response(),
        Err(error) => error.into_response(),
    }
}
