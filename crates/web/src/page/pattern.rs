//! One pattern: why it has its risk, since when, where, how often; and what people said of it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use logrisk_base::{Risk, Tag};
use serde_json::Value;

use super::{
    Failure,
    draw::sparkline,
    explained::{Explained, Scale},
    html,
    text::{Shown, day, grouped, shown},
    values::{Values, values},
    visitor::{Frame, Visitor},
};
use crate::{
    error::ApiError,
    service::Service,
    view::{CorrectionView, PatternDetail, SampleView},
};

/// Half minutes of the history that the page draws: what is kept.
const HISTORY: usize = 64;

#[derive(Template)]
#[template(path = "pattern.html")]
struct PatternPage {
    frame: Frame,
    detail: PatternDetail,
    explained: Explained,
    scale: Scale,
    decision: String,
    unsure: bool,
    sources: Vec<Share>,
    values: Vec<Values>,
    history: String,
    /// Most lines in half a minute of it.
    peak: u32,
    /// Lines by hour: of a day and of a week.
    longer: [Longer; 2],
}

/// Lines by hour.
struct Longer {
    words: &'static str,
    path: String,
    wide: usize,
    peak: u32,
    lines: String,
}

/// How much of a pattern comes from one source, and how much of everything else does.
struct Share {
    source: Shown,
    here: u64,
    elsewhere: u64,
}

impl PatternPage {
    fn masked(&self) -> Shown {
        shown(&self.detail.pattern.masked)
    }

    fn counted(&self) -> String {
        grouped(self.detail.pattern.count)
    }

    fn comment(&self, text: &str) -> Shown {
        shown(text)
    }

    /// A correction in one sentence.
    fn told(&self, correction: &CorrectionView) -> String {
        let CorrectionView { by, was, expires, revoked, risk_label, .. } = correction;
        let set = by.as_ref().map_or_else(|| "Set to".to_owned(), |by| format!("Key {by} set"));
        let was = was.map(|was| format!(", was {was}")).unwrap_or_default();
        let until = expires.map(|until| format!(" until {} UTC", day(until))).unwrap_or_default();
        let back = revoked.map(|at| format!("; replaced or taken back {} UTC", day(at))).unwrap_or_default();
        format!("{set} {risk_label}{was}{until}{back}")
    }

    fn newest(&self) -> Option<Shown> {
        self.detail.pattern.sample.as_deref().map(shown)
    }

    fn risks(&self) -> impl Iterator<Item = u8> {
        Risk::all().map(Risk::get)
    }

    fn tags(&self) -> [&'static str; Tag::COUNT] {
        Tag::ALL.map(Tag::as_str)
    }

    fn lines(&self) -> Vec<(Timestamp, Shown, Shown)> {
        let newest = self.detail.samples.iter().rev();
        newest.map(|SampleView { time, source, text }| (*time, shown(source), shown(text))).collect()
    }
}

/// `GET /ui/patterns/{id}`.
pub(crate) async fn page(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Response {
    let now = Timestamp::now();
    let Some(detail) = id.parse().ok().and_then(|id| service.pattern_detail(id, now)) else {
        let error = ApiError::not_found("There is no such pattern; it may have been forgotten to make room.");
        return Failure::new(visitor.frame(&service, "No such pattern", "patterns"), error).into_response();
    };
    let row = &detail.pattern;
    let masked = service.read_again(row.pattern_id, &row.masked, row.sample.as_deref());
    // Without a model the page still shows all that was seen.
    let (verdict, reasons) = service.why(masked).await.unwrap_or((None, None));
    let mut explained = Explained::read(&reasons.unwrap_or(Value::Null), &row.masked);
    if row.correction.is_some() {
        explained.decided_by = "human".to_owned();
    }
    let frame = visitor.frame(&service, "Pattern", "patterns");
    let model = frame.model.as_ref().map_or_else(|| "none".to_owned(), |(short, _)| short.clone());
    let corrected = row.correction.is_some();
    let kept = service.catalogue.pattern(row.pattern_id);
    let hourly = |hours| kept.as_ref().map(|pattern| pattern.hourly(now, hours)).unwrap_or_default();
    let history =
        kept.as_ref().map(|pattern| pattern.history(now, 30 * HISTORY as u32, HISTORY)).unwrap_or_default();
    let seen = (now.as_second() - row.first_seen.as_second()) / 30;
    let page = PatternPage {
        frame,
        decision: explained.decision(&model),
        scale: Scale {
            risk: row.risk_label,
            score: row.risk_score,
            interval: verdict.map(|verdict| verdict.interval).filter(|_| !corrected),
        },
        unsure: !corrected && verdict.is_some_and(|verdict| verdict.unsure),
        sources: shares(&service, &detail),
        values: values(&row.masked, detail.samples.iter().map(|sample| sample.text.as_str())),
        longer: [("24 h", 24), ("7 d", 168)].map(|(words, hours)| {
            let counts = hourly(hours);
            Longer {
                words,
                path: sparkline(&counts, usize::try_from(seen / 120).unwrap_or(0).min(hours)),
                wide: hours * 3,
                peak: counts.iter().copied().max().unwrap_or(0),
                lines: grouped(counts.iter().copied().map(u64::from).sum::<u64>()),
            }
        }),
        history: sparkline(&history, usize::try_from(seen).unwrap_or(0).min(HISTORY)),
        peak: history.into_iter().max().unwrap_or(0),
        explained,
        detail,
    };
    html(StatusCode::OK, &page)
}

/// `GET /ui/why/{id}`: why a pattern has its risk, in one line of parts.
pub(crate) async fn why(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Response {
    let found = id.parse().ok().and_then(|id| service.pattern_detail(id, Timestamp::now()));
    let Some(detail) = found else {
        return ApiError::not_found("the pattern was forgotten to make room").into_response();
    };
    let model = visitor.frame(&service, "", "").model.map(|(short, _)| short).unwrap_or_default();
    if detail.pattern.correction.is_some() {
        let corrected = Explained { decided_by: "human".to_owned(), ..Explained::default() };
        return Json(corrected.told(&model)).into_response();
    }
    let row = &detail.pattern;
    match service.why(service.read_again(row.pattern_id, &row.masked, row.sample.as_deref())).await {
        Ok((_, reasons)) => {
            Json(Explained::read(&reasons.unwrap_or(Value::Null), &row.masked).told(&model)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// Sources by how much more of this pattern than of the rest comes from them.
fn shares(service: &Service, detail: &PatternDetail) -> Vec<Share> {
    let all = service.catalogue.sources();
    let own: u64 = detail.pattern.sources.iter().map(|source| source.count).sum();
    let others: u64 = all.values().sum::<u64>().saturating_sub(own);
    let percent = |part: u64, whole: u64| (100 * part).checked_div(whole).unwrap_or(0);
    let mut shares: Vec<Share> = detail
        .pattern
        .sources
        .iter()
        .map(|source| {
            let rest = all.get(&source.source).copied().unwrap_or(0).saturating_sub(source.count);
            Share {
                source: shown(&source.source),
                here: percent(source.count, own),
                elsewhere: percent(rest, others),
            }
        })
        .collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.here.abs_diff(share.elsewhere)));
    shares
}
