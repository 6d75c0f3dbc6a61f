//! `GET /stream`: scored lines as server-sent events.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream::{self, Stream};
use logrisk_base::Tag;
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};
use utoipa::{IntoParams, ToSchema};

use super::{
    document::tag,
    patterns::{Query, risk},
};
use crate::{
    access::Identity,
    error::{ApiError, ErrorBody, ValidationBody},
    hub::{Begin, Filter, Watcher},
    server::Peer,
    service::Service,
    view::RowsEvent,
};

/// Between two looks at the watcher's buffer: four events a second are what a page can show.
const TICK: Duration = Duration::from_millis(250);
/// `totals` comes with each so many looks: once a second.
const TICKS_PER_TOTALS: u32 = 4;
/// Silence after which proxies close a connection is longer than this.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What browsers wait before they connect anew.
const RETRY: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamParameters {
    /// Risks below are left out.
    #[param(minimum = 0, maximum = 10)]
    min_risk: Option<u8>,
    /// Risks above are left out.
    #[param(minimum = 0, maximum = 10)]
    max_risk: Option<u8>,
    /// Only this tag.
    #[param(schema_with = tag, required = false)]
    tag: Option<Tag>,
    /// Only lines that contain this.
    q: Option<String>,
    /// Only this source.
    source: Option<String>,
    /// Only patterns first seen since start.
    #[serde(default)]
    novel: bool,
    /// `tail` has a row for each line, `ranked` one for each pattern.
    #[serde(default)]
    #[param(inline)]
    view: View,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum View {
    #[default]
    Tail,
    Ranked,
}

/// Watch lines as they are scored
///
/// Events: `rows` (at most 50 rows four times a second, with the true number of lines), `totals` (once a second),
/// `novel` (the first line of a pattern), `corrected`, `model`, and `bye` when the server is about to end. Who comes back with
/// `Last-Event-ID`, as browsers do by themselves, gets `resumed` and then what it missed.
#[utoipa::path(
    get, path = "/stream", tag = "patterns",
    params(StreamParameters, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen")),
    responses(
        (status = 200, body = RowsEvent, content_type = "text/event-stream"),
        (status = 422, body = ValidationBody), (status = 429, body = ErrorBody),
    )
)]
pub(crate) async fn stream(
    State(service): State<Arc<Service>>,
    Query(parameters): Query<StreamParameters>,
    Extension(identity): Extension<Identity>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let filter = Filter {
        min_risk: risk("min_risk", parameters.min_risk)?,
        max_risk: risk("max_risk", parameters.max_risk)?,
        tag: parameters.tag,
        source: parameters.source,
        text: parameters.q.filter(|text| !text.is_empty()),
        novel: parameters.novel,
        ranked: parameters.view == View::Ranked,
    };
    // Everybody behind a proxy has one address, but each key its own name.
    let client = identity.name.map_or_else(|| peer.to_string(), |name| name.to_string());
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (watcher, begin) = service.hub.watch(filter, &client, after).ok_or_else(|| {
        let detail = "too many streams are open, or too many of yours; close one";
        ApiError::busy("streams_full", detail, Duration::from_secs(5))
    })?;
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events(service, watcher, &begin)).keep_alive(keep_alive).into_response();
    // Proxies must hand on each event at once.
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

struct Channel {
    service: Arc<Service>,
    watcher: Arc<Watcher>,
    draining: watch::Receiver<bool>,
    tick: Interval,
    ticks: u32,
    lines: u64,
    ready: VecDeque<Event>,
    ended: bool,
}

fn events(
    service: Arc<Service>,
    watcher: Arc<Watcher>,
    begin: &Begin,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Something at once, so that the browser knows that it is connected.
    let mut ready = VecDeque::from([Event::default().retry(RETRY).comment("connected")]);
    let resumed = match begin {
        Begin::Now => None,
        Begin::Complete => Some("{\"complete\":true}"),
        Begin::Incomplete => Some("{\"complete\":false}"),
    };
    ready.extend(resumed.map(|json| Event::default().event("resumed").data(json)));
    let channel = Channel {
        draining: service.draining(),
        lines: service.totals().lines,
        service,
        watcher,
        tick,
        ticks: 0,
        ready,
        ended: false,
    };
    stream::unfold(channel, |mut channel| async move {
        loop {
            if let Some(event) = channel.ready.pop_front() {
                return Some((Ok(event), channel));
            }
            if channel.ended {
                return None;
            }
            channel.wait().await;
        }
    })
}

impl Channel {
    /// Waits for the next look, and puts what it finds in line.
    async fn wait(&mut self) {
        let ending = tokio::select! {
            _ = self.tick.tick() => false,
            _ = self.draining.wait_for(|draining| *draining) => true,
        };
        let news = self.watcher.take();
        let mut events = news.events;
        if news.seen > 0 {
            let rows = RowsEvent { rows: news.rows, seen: news.seen, shown: news.shown };
            events.extend(serde_json::to_string(&rows).ok().map(|json| ("rows", json)));
        }
        if self.ticks.is_multiple_of(TICKS_PER_TOTALS) {
            let mut totals = self.service.totals();
            totals.lines_per_second = totals.lines - self.lines;
            self.lines = totals.lines;
            events.extend(serde_json::to_string(&totals).ok().map(|json| ("totals", json)));
        }
        self.ticks = self.ticks.wrapping_add(1);
        if ending {
            events.push(("bye", "{\"reason\":\"the server is about to end\"}".to_owned()));
            self.ended = true;
        }
        let last = events.len().saturating_sub(1);
        for (place, (name, json)) in events.into_iter().enumerate() {
            let event = Event::default().event(name).data(json);
            // The last one says what was told up to here: who was cut off before it hears all of them again.
            let event = if place == last { event.id(self.service.hub.id(news.number)) } else { event };
            self.ready.push_back(event);
        }
    }
}
