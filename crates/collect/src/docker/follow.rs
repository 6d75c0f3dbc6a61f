//! One container's log, followed to its end. One batch is on its way at a time; Docker keeps what waits.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use logrisk_flow::{Origin, Outcome, Outlet, Record, RecordId};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    api::Api,
    cursors::{Cursor, Cursors},
    lines::{Line, Lines},
};
use crate::{Cut, Cutter, cut::Stream};

/// Records of one batch, about.
const RECORDS: usize = 4096;
/// After a record so long for more: one batch then holds many.
const SETTLE: Duration = Duration::from_millis(20);
/// A record waits so long for a line that continues it.
const SILENCE: Duration = Duration::from_millis(200);

/// A container that is followed.
pub(super) struct Followed {
    pub(super) id: String,
    /// Of standard output and standard error.
    pub(super) origins: [Arc<Origin>; 2],
    pub(super) api: Arc<Api>,
    pub(super) cursors: Arc<Cursors>,
}

/// Why following ended before the log did.
pub(super) enum Ended {
    /// It may go on from the cursor.
    Again(String),
    /// Docker says that there is no log to read.
    Unreadable(String),
    /// The data plane has ended.
    Closed,
}

/// What is known of a container's terminal.
#[derive(Deserialize)]
struct Inspected {
    #[serde(rename = "Config")]
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "Tty", default)]
    has_terminal: bool,
}

/// Lines on their way to records.
#[derive(Default)]
struct Pending {
    cutter: Cutter,
    /// Where lines begin for the cutter, and in the log, from the first on that is not delivered.
    places: VecDeque<(u64, Cursor)>,
    cuts: Vec<Cut>,
}

impl Followed {
    /// Follows until the container's log ends, or `stop`. A batch that was sent is waited for; what was not is read again.
    ///
    /// # Errors
    /// [`Ended`], if its end was not reached.
    pub(super) async fn run(&self, outlet: &Outlet, stop: &CancellationToken) -> Result<(), Ended> {
        let id = &self.id;
        let inspected: Inspected =
            self.api.json(&format!("/containers/{id}/json")).await.map_err(Ended::Again)?;
        let cursor = self.cursors.get(id);
        let since = cursor.map(|cursor| format!("&since={}", cursor.since())).unwrap_or_default();
        let path = format!("/containers/{id}/logs?follow=1&stdout=1&stderr=1&timestamps=1{since}");
        let mut answer = self.api.get(&path).await.map_err(Ended::Again)?;
        if !answer.status.is_success() {
            return Err(Ended::Unreadable(answer.error().await));
        }
        let mut lines = Lines::new(inspected.config.has_terminal, cursor);
        let (mut pending, mut found) = (Pending::default(), Vec::new());
        // When to send what is there, or to stop waiting for what continues it.
        let mut wake = Instant::now();
        loop {
            let waits = pending.cutter.is_open() || !pending.cuts.is_empty();
            let bytes = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                bytes = answer.next() => bytes,
                () = sleep_until(wake), if waits => {
                    if pending.cuts.is_empty() {
                        pending.cutter.flush(&mut pending.cuts);
                    }
                    self.send(&mut pending, outlet, stop).await?;
                    wake = Instant::now() + SILENCE;
                    continue;
                }
            };
            match bytes {
                Some(Ok(bytes)) => {
                    let had_none = pending.cuts.is_empty();
                    lines.feed(&bytes, &mut found).map_err(Ended::Again)?;
                    found.drain(..).for_each(|line| pending.take(&line));
                    match pending.cuts.len() {
                        0 => wake = Instant::now() + SILENCE,
                        1..RECORDS if had_none => wake = Instant::now() + SETTLE,
                        1..RECORDS => {}
                        _ => {
                            self.send(&mut pending, outlet, stop).await?;
                            wake = Instant::now() + SILENCE;
                        }
                    }
                }
                Some(Err(error)) => return Err(Ended::Again(error)),
                None => {
                    pending.cutter.end(&mut pending.cuts);
                    return self.send(&mut pending, outlet, stop).await;
                }
            }
        }
    }

    /// Sends a batch, waits until every sink has it, and moves the cursor.
    async fn send(
        &self,
        pending: &mut Pending,
        outlet: &Outlet,
        stop: &CancellationToken,
    ) -> Result<(), Ended> {
        if pending.cuts.is_empty() {
            return Ok(());
        }
        let (records, cursor) = pending.records(RecordId::of(self.id.as_bytes()), &self.origins);
        let acknowledged = tokio::select! {
            sent = outlet.send(records) => sent.map_err(|_| Ended::Closed)?,
            () = stop.cancelled() => return Ok(()),
        };
        if acknowledged.outcome().await == Outcome::Failed {
            return Err(Ended::Again("records did not reach every sink".to_owned()));
        }
        if let Some(cursor) = cursor {
            self.cursors.set(&self.id, cursor);
        }
        Ok(())
    }
}

impl Pending {
    fn take(&mut self, line: &Line) {
        self.places.push_back((self.cutter.read(), line.place));
        self.cutter.feed(&line.text, &mut self.cuts);
    }

    /// The records that are cut, and from where to read again once they are delivered.
    fn records(&mut self, container: RecordId, origins: &[Arc<Origin>; 2]) -> (Vec<Record>, Option<Cursor>) {
        let [output, error] = origins;
        let place_of = |place: u64| {
            let index = self.places.binary_search_by_key(&place, |(own, _)| *own).ok()?;
            self.places.get(index).map(|(_, cursor)| *cursor)
        };
        let record = |cut: Cut| {
            let place = place_of(cut.place).unwrap_or(Cursor { nanoseconds: 0, lines: cut.place });
            let at_time = RecordId::at(container, place.nanoseconds.cast_unsigned());
            Record {
                id: RecordId::at(at_time, place.lines),
                time: cut.time,
                level: None,
                body: cut.body,
                origin: Arc::clone(if cut.stream == Stream::Error { error } else { output }),
                fields: logrisk_flow::Fields::default(),
            }
        };
        let records = self.cuts.drain(..).map(record).collect();
        let resume = self.cutter.resume();
        let mut cursor = None;
        while let Some((place, line)) = self.places.front().copied() {
            if place >= resume {
                // An open record begins here.
                return (records, Some(line));
            }
            cursor = Some(Cursor { lines: line.lines + 1, ..line });
            self.places.pop_front();
        }
        (records, cursor)
    }
}
