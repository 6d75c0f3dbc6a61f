//! Rows and bands of Now: made once, shown as HTML by the templates and as JSON by `/ui/rows`.

use jiff::Timestamp;
use logrisk_base::{PatternId, Risk};
use logrisk_catalogue::PatternQuery;
use serde::Serialize;

use super::{
    draw::{Chart, bar_width, sparkline},
    query::View,
    text::{Shown, age, grouped, shown},
};
use crate::{service::Service, view::PatternRow};

/// Seconds of a sparkline's bucket.
const SPARK_SECONDS: i64 = 30;
/// Half minutes that a sparkline shows.
const SPARK: usize = 32;

/// The bands of Now, the worst first: name, lowest and highest risk, most rows.
const BANDS: [(&str, u8, u8, usize); 4] = [
    ("Critical and emergency", 8, 10, 100),
    ("Error", 6, 7, 60),
    ("Warning", 4, 5, 60),
    ("Routine", 0, 3, 20),
];

/// A pattern in a list. The fields have the names that the stream's rows have, so that one script shows both.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) pattern_id: PatternId,
    pub(crate) risk_label: u8,
    pub(crate) risk_score: f64,
    pub(crate) level: &'static str,
    pub(crate) novel: bool,
    pub(crate) unsure: bool,
    pub(crate) label_source: &'static str,
    pub(crate) count: u64,
    pub(crate) first_seen: Timestamp,
    pub(crate) time: Timestamp,
    pub(crate) source: String,
    pub(crate) masked: String,
    pub(crate) text: String,
    /// The sparkline's path.
    pub(crate) spark: String,
    /// The most lines in half a minute.
    #[serde(skip)]
    pub(crate) peak: u32,
    #[serde(skip)]
    now: Timestamp,
}

impl Row {
    /// The row of a pattern.
    pub(crate) fn new(pattern: PatternRow, now: Timestamp) -> Self {
        let seen = (now.as_second() - pattern.first_seen.as_second()) / SPARK_SECONDS;
        // Masks can leave nothing of a line; its newest line says more than an empty row.
        let masked = if pattern.masked.trim().is_empty() {
            pattern.sample.clone().unwrap_or_default()
        } else {
            pattern.masked
        };
        let busiest = pattern.sources.into_iter().max_by_key(|source| source.count);
        Self {
            pattern_id: pattern.pattern_id,
            risk_label: pattern.risk_label,
            risk_score: pattern.risk_score,
            level: pattern.level,
            novel: pattern.novel && pattern.acknowledged.is_none(),
            unsure: pattern.unsure,
            label_source: pattern.label_source,
            count: pattern.count,
            first_seen: pattern.first_seen,
            time: pattern.last_seen,
            source: busiest.map(|source| source.source).unwrap_or_default(),
            masked,
            text: pattern.sample.unwrap_or_default(),
            spark: sparkline(&pattern.history, usize::try_from(seen).unwrap_or(0).min(SPARK)),
            peak: pattern.history.into_iter().max().unwrap_or(0),
            now,
        }
    }

    /// The number as it is shown: `7?` is unsure.
    pub(crate) fn number(&self) -> String {
        format!("{}{}", self.risk_label, if self.unsure { "?" } else { "" })
    }

    /// Pixels of the bar.
    pub(crate) fn width(&self) -> u8 {
        bar_width(self.risk_score)
    }

    /// The pattern's text.
    pub(crate) fn line(&self) -> Shown {
        shown(&self.masked)
    }

    /// Where most of its lines come from.
    pub(crate) fn place(&self) -> Shown {
        shown(&self.source)
    }

    /// The word beside the number.
    pub(crate) fn word(&self) -> &'static str {
        match (self.label_source, self.novel) {
            ("human", _) => "set",
            (_, true) => "new",
            _ => "",
        }
    }

    /// Lines so far.
    pub(crate) fn counted(&self) -> String {
        grouped(self.count)
    }

    /// Since the last line.
    pub(crate) fn age(&self) -> String {
        age(self.now, self.time)
    }
}

/// A band of risks.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Band {
    pub(crate) name: &'static str,
    pub(crate) lowest: u8,
    pub(crate) highest: u8,
    /// Patterns and lines in all, shown or not.
    pub(crate) patterns: usize,
    pub(crate) lines: u64,
    pub(crate) rows: Vec<Row>,
}

impl Band {
    /// How many patterns have no row.
    pub(crate) fn more(&self) -> usize {
        self.patterns.saturating_sub(self.rows.len())
    }

    /// Lines so far.
    pub(crate) fn counted(&self) -> String {
        grouped(self.lines)
    }
}

/// A source and the highest risk that comes from it.
#[derive(Debug, Clone)]
pub(crate) struct SourceRisk {
    pub(crate) name: String,
    pub(crate) risk: u8,
    pub(crate) lines: u64,
}

impl SourceRisk {
    /// The name as it may be shown.
    pub(crate) fn shown(&self) -> Shown {
        shown(&self.name)
    }

    /// Lines so far.
    pub(crate) fn counted(&self) -> String {
        grouped(self.lines)
    }

    /// Pixels of the bar.
    pub(crate) fn width(&self) -> u8 {
        bar_width(f64::from(self.risk))
    }
}

/// Sources that are listed.
const SOURCES: usize = 12;

/// What Now lists.
pub(crate) struct Listing {
    pub(crate) bands: Vec<Band>,
    pub(crate) sources: Vec<SourceRisk>,
}

impl Service {
    /// The bands of a view, each with its riskiest patterns; among equals the newest first, which only a new pattern
    /// changes, never a busy one.
    pub(super) fn listing(&self, view: &View, now: Timestamp) -> Listing {
        let query = view.now_query(now);
        let mut sources: Vec<SourceRisk> = Vec::new();
        let bands = BANDS.map(|(name, lowest, highest, limit)| {
            let bound = |risk: u8| Risk::new(risk).unwrap_or(Risk::MAX);
            let (low, high) = (bound(lowest), bound(highest));
            let query = PatternQuery {
                min_risk: Some(query.min_risk.map_or(low, |wanted| wanted.max(low))),
                max_risk: Some(query.max_risk.map_or(high, |wanted| wanted.min(high))),
                limit: limit + view.hidden.len(),
                ..query.clone()
            };
            let page = self.catalogue.patterns(&query, now);
            let (mut patterns, mut lines) = (page.total, page.lines);
            let mut rows = Vec::with_capacity(limit.min(patterns));
            for (pattern, correction) in &page.patterns {
                if view.hidden.contains(&pattern.id) {
                    patterns -= 1;
                    lines -= pattern.count.min(lines);
                } else if rows.len() < limit {
                    let row = PatternRow::new(pattern, correction.as_deref(), now);
                    for source in &row.sources {
                        add(&mut sources, &source.source, row.risk_label, source.count);
                    }
                    rows.push(Row::new(row, now));
                }
            }
            rows.sort_by(|one, other| {
                (other.risk_label, other.first_seen, one.pattern_id).cmp(&(
                    one.risk_label,
                    one.first_seen,
                    other.pattern_id,
                ))
            });
            Band { name, lowest, highest, patterns, lines, rows }
        });
        sources.sort_by_key(|source| (std::cmp::Reverse(source.risk), std::cmp::Reverse(source.lines)));
        sources.truncate(SOURCES);
        Listing { bands: bands.into(), sources }
    }
}

fn add(sources: &mut Vec<SourceRisk>, name: &str, risk: u8, lines: u64) {
    if let Some(found) = sources.iter_mut().find(|source| source.name == name) {
        found.risk = found.risk.max(risk);
        found.lines += lines;
    } else {
        sources.push(SourceRisk { name: name.to_owned(), risk, lines });
    }
}

/// Buckets of a chart.
const BUCKETS: usize = 90;

impl Chart {
    /// The chart of a view.
    pub(crate) fn of(service: &Service, view: &View, now: Timestamp) -> Self {
        let (to, seconds) = view.span(now);
        let buckets = service.catalogue.series(to, seconds, BUCKETS);
        Self::new(&buckets, seconds, &service.catalogue.activations())
    }
}
