//! Patterns: an inbox of what nobody has seen yet, and all the others.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::{SignedDuration, Timestamp};
use logrisk_catalogue::{Group, PatternQuery};

use super::{
    blocking, html,
    query::{Parameters, SINCE, SORTS, STATES, View},
    rows::Row,
    text::{Shown, clock, grouped, shown},
    visitor::{Frame, Visitor},
};
use crate::service::Service;

/// Rows of a page.
const PAGE: usize = 100;
/// From so many new patterns on, sources are shown instead of rows, and at most so many.
const FLOOD: usize = 200;
const GROUPS: usize = 50;

#[derive(Template)]
#[template(path = "patterns.html")]
struct PatternsPage {
    frame: Frame,
    view: View,
    rows: Vec<Row>,
    /// In place of rows, where there are too many new ones to read.
    groups: Vec<GroupRow>,
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

/// New patterns of one source.
struct GroupRow {
    source: Shown,
    /// The name as it is.
    name: String,
    patterns: String,
    lines: String,
    highest: u8,
    /// Hardly a pattern comes twice: masks miss a value, or the source writes no logs.
    random: bool,
    address: String,
}

impl GroupRow {
    fn new(group: Group, view: &View) -> Self {
        Self {
            source: shown(&group.source),
            patterns: grouped(group.patterns),
            lines: grouped(group.lines),
            highest: group.highest.get(),
            random: group.patterns > FLOOD as u64 && group.once * 20 >= group.patterns * 19,
            address: view.inbox_of(&group.source),
            name: group.source,
        }
    }
}

impl PatternsPage {
    fn sorts(&self) -> Vec<(&'static str, &'static str, bool)> {
        let chosen = self.view.sort();
        SORTS.iter().map(|(name, words, _)| (*name, *words, *name == chosen)).collect()
    }

    fn since(&self) -> Vec<(&'static str, &'static str, bool)> {
        let options = SINCE.iter().enumerate();
        options.map(|(place, (name, words, _))| (*name, *words, place == self.view.since)).collect()
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
        let query = view.inbox_query(PAGE, now);
        let page = service.catalogue.patterns(&query, now);
        let grouped_by_source = view.state == "new" && page.total > FLOOD && !view.has_source();
        let groups = if grouped_by_source {
            let groups = service.catalogue.groups(&query, now).into_iter().take(GROUPS);
            groups.map(|group| GroupRow::new(group, &view)).collect()
        } else {
            Vec::new()
        };
        let patterns = if grouped_by_source { Vec::new() } else { service.pattern_rows(&page, now) };
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
            next: (end < page.total && !grouped_by_source).then(|| view.inbox_with(view.state, end)),
            groups,
            rows: patterns.into_iter().map(|pattern| Row::new(pattern, now)).collect(),
            total: page.total,
            tabs: tabs.into(),
            seen_today: service.catalogue.acknowledged_since(today),
            last_new: service.catalogue.newest(),
            view,
        }
    }
}
