//! Patterns: an inbox of what nobody has seen yet, and all the others.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::{SignedDuration, Timestamp};
use logrisk_catalogue::PatternQuery;

use super::{
    blocking, html,
    query::{Parameters, SORTS, STATES, View},
    rows::Row,
    text::{clock, grouped},
    visitor::{Frame, Visitor},
};
use crate::service::Service;

/// Rows of a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "patterns.html")]
struct PatternsPage {
    frame: Frame,
    view: View,
    rows: Vec<Row>,
    total: usize,
    /// Name, words, count, whether it is shown, address.
    tabs: Vec<Tab>,
    seen_today: u64,
    last_new: Option<Timestamp>,
    next: Option<String>,
}

struct Tab {
    words: &'static str,
    count: String,
    current: bool,
    address: String,
}

impl PatternsPage {
    fn sorts(&self) -> Vec<(&'static str, &'static str, bool)> {
        let chosen = self.view.sort();
        SORTS.iter().map(|(name, words, _)| (*name, *words, *name == chosen)).collect()
    }

    fn last_new(&self) -> Option<String> {
        self.last_new.map(clock)
    }

    fn seen_today(&self) -> String {
        grouped(self.seen_today)
    }

    fn matching(&self) -> String {
        grouped(self.total as u64)
    }
}

/// `GET /ui/patterns`.
pub(crate) async fn page(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Query(parameters): Query<Parameters>,
) -> Response {
    let view = View::new(parameters);
    match blocking(move || PatternsPage::new(&service, &visitor, view)).await {
        Ok(page) => html(StatusCode::OK, &page),
        Err(error) => error.into_response(),
    }
}

impl PatternsPage {
    fn new(service: &Service, visitor: &Visitor, view: View) -> Self {
        let now = Timestamp::now();
        let page = service.catalogue.patterns(&view.inbox_query(PAGE), now);
        let patterns = service.pattern_rows(&page, now);
        let tabs = STATES.map(|(name, words, state)| {
            let query = PatternQuery { state, ..PatternQuery::default() };
            Tab {
                words,
                count: grouped(service.catalogue.patterns(&query, now).total as u64),
                current: view.state == name,
                address: view.inbox_with(name, 0),
            }
        });
        let today = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now);
        let end = view.cursor + patterns.len();
        Self {
            frame: visitor.frame(service, "Patterns", "patterns"),
            next: (end < page.total).then(|| view.inbox_with(view.state, end)),
            rows: patterns.into_iter().map(|pattern| Row::new(pattern, now)).collect(),
            total: page.total,
            tabs: tabs.into(),
            seen_today: service.catalogue.acknowledged_since(today),
            last_new: service.catalogue.newest(),
            view,
        }
    }
}
