//! The ways from lines to answers.
//!
//! ```text
//! /predict   redact ─► mask ─► known? ─yes─► correction? ─► answer          (on the async thread: microseconds)
//!                                └─no─► batcher ─► await ───┘
//! /ingest    the same in turns on a blocking thread ─► catalogue ─► watchers, alerts, store
//! ```

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use jiff::Timestamp;
use logrisk_base::{Risk, Tag};
use logrisk_catalogue::{Correction, Recorded, Sighting};
use opentelemetry::KeyValue;
use serde_json::json;

use crate::{
    alert::Alert,
    batch::{Loaded, Refused},
    engine::{Engine, Masked, Verdict},
    error::ApiError,
    service::Service,
    trace,
    view::{Answer, Details, IngestAnswer, LineRow},
};

/// Lines of a request that are masked on the async thread; of more, masking takes above half a millisecond.
const INLINE_LINES: usize = 64;
/// Texts of one request that wait in the queue at once, and lines that take the catalogue's lock together.
const TURN: usize = 512;
/// Between two attempts to put the next turn into a full queue.
const PAUSE: Duration = Duration::from_millis(20);

/// A line that was scored.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The line as it may be shown.
    pub text: &'a str,
    /// Where it came from, as lists and filters name it.
    pub source: &'a str,
    /// The line as the model read it.
    pub masked: &'a Masked,
    /// What model and rules say of it.
    pub verdict: Verdict,
}

/// A line on its way: as it may be shown, and as the model reads it.
pub(crate) struct Line {
    text: String,
    pub(crate) masked: Masked,
}

impl Service {
    /// Answers one line.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        line: &str,
        preprocess: bool,
        details: Details,
    ) -> Result<Answer, ApiError> {
        let loaded = self.require_model()?;
        let line = read_line(&*loaded.engine, line, preprocess);
        let verdict = match loaded.engine.known(&line.masked) {
            Some(verdict) => verdict,
            None => {
                let verdicts = self.judge(&loaded, std::slice::from_ref(&line.masked)).await?;
                verdicts.first().copied().ok_or(Refused::Failed)?
            }
        };
        let lines = [line];
        let mut answers = self.answers(&loaded, &lines, &[verdict], details);
        if details.explain {
            self.within_deadline(self.explain(&loaded, &lines, &mut answers)).await?;
        }
        answers.pop().ok_or_else(|| Refused::Failed.into())
    }

    /// Answers many lines, in order.
    pub(crate) async fn answer_all(
        self: &Arc<Self>,
        lines: Vec<String>,
        preprocess: bool,
        details: Details,
    ) -> Result<Vec<Answer>, ApiError> {
        let loaded = self.require_model()?;
        let lines = if lines.len() <= INLINE_LINES {
            read_lines(&*loaded.engine, &lines, preprocess)
        } else {
            let engine = Arc::clone(&loaded.engine);
            tokio::task::spawn_blocking(move || read_lines(&*engine, &lines, preprocess))
                .await
                .map_err(|_| Refused::Failed)?
        };
        let known: Vec<_> = lines.iter().map(|line| loaded.engine.known(&line.masked)).collect();
        let missing = missing(&lines, &known);
        let judged = if missing.is_empty() { Vec::new() } else { self.judge(&loaded, &missing).await? };
        let verdicts = fill(known, judged);
        let mut answers = self.answers(&loaded, &lines, &verdicts, details);
        if details.explain {
            self.within_deadline(self.explain(&loaded, &lines, &mut answers)).await?;
        }
        Ok(answers)
    }

    /// Has texts judged within the deadline.
    async fn judge(&self, loaded: &Loaded, texts: &[Masked]) -> Result<Vec<Verdict>, ApiError> {
        let count = KeyValue::new("logrisk.texts", i64::try_from(texts.len()).unwrap_or(i64::MAX));
        let judged = trace::inside(self.tracer.as_ref(), "judge", count, self.judge_in_turns(loaded, texts));
        self.within_deadline(judged).await
    }

    async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        tokio::time::timeout(self.deadline, work).await.map_err(|_| {
            ApiError::new(
                StatusCode::GATEWAY_TIMEOUT,
                "deadline_exceeded",
                format!("no answer within {} s; send fewer lines at once", self.deadline.as_secs()),
            )
        })?
    }

    /// Many texts do not take the queue at once, so that others come in between. Whoever was let in for the first turn
    /// waits for the next ones.
    async fn judge_in_turns(&self, loaded: &Loaded, texts: &[Masked]) -> Result<Vec<Verdict>, ApiError> {
        let mut verdicts = Vec::with_capacity(texts.len());
        for (turn, texts) in texts.chunks(TURN).enumerate() {
            let receiver = loop {
                match self.batcher.submit(loaded, texts.to_vec()) {
                    Err(Refused::Full(_)) if turn > 0 => tokio::time::sleep(PAUSE).await,
                    submitted => break submitted?,
                }
            };
            verdicts.extend(receiver.await.map_err(|_| Refused::Failed)?);
        }
        Ok(verdicts)
    }

    fn answers(
        &self,
        loaded: &Loaded,
        lines: &[Line],
        verdicts: &[Verdict],
        details: Details,
    ) -> Vec<Answer> {
        let now = Timestamp::now();
        let version = loaded.engine.version();
        let (mut risks, mut unsure) = ([[0; Tag::COUNT]; Risk::COUNT], 0);
        let answers = lines
            .iter()
            .zip(verdicts)
            .map(|(line, verdict)| {
                let correction = self.catalogue.correction(line.masked.pattern, now);
                let answer = Answer::new(&line.masked, verdict, correction.as_deref(), version, details);
                count(&mut risks, answer.risk_label, answer.tag);
                unsure += u64::from(answer.unsure);
                self.alert(&line.text, &line.masked, verdict, correction.as_deref());
                answer
            })
            .collect();
        self.metrics.count_lines(&risks);
        self.metrics.unsure_lines.inc_by(unsure);
        answers
    }

    /// Adds explanations; where a person decided there is no word to weigh. One text at a time, and one request at a time:
    /// explaining a line costs as much as judging twenty, and those who only ask for risks go first. Who leaves stops it.
    async fn explain(&self, loaded: &Loaded, lines: &[Line], answers: &mut [Answer]) -> Result<(), ApiError> {
        for (line, answer) in lines.iter().zip(answers) {
            let masked = line.masked.clone();
            let explanation = if answer.label_source == "human" {
                Some(json!({"decided_by": "human", "masked": &*masked.text}))
            } else {
                // Never closed, so that this only waits.
                let _one_at_a_time = self.explaining.acquire().await;
                let engine = Arc::clone(&loaded.engine);
                tokio::task::spawn_blocking(move || engine.explain(&masked))
                    .await
                    .map_err(|_| Refused::Failed)?
            };
            answer.explanation = explanation;
        }
        Ok(())
    }

    fn alert(&self, text: &str, masked: &Masked, verdict: &Verdict, correction: Option<&Correction>) {
        let Some(alerts) = &self.alerts else { return };
        let risk = correction.map_or(verdict.risk, |correction| correction.risk);
        if risk >= alerts.min_risk() {
            let score = correction.map_or(verdict.score, |correction| f32::from(correction.risk.get()));
            alerts.raise(Alert { pattern: masked.pattern, text: text.to_owned(), risk, score });
        }
    }

    /// Scores, counts and shows the records of a body. Blocks; new patterns are on disk when it returns.
    pub(crate) fn ingest(&self, body: &[u8], joined: bool, source: &str) -> Result<IngestAnswer, ApiError> {
        let loaded = self.require_model()?;
        let engine = &*loaded.engine;
        let records = if joined {
            engine
                .records(body)
                .map_err(|reason| ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_text", reason))?
        } else {
            String::from_utf8_lossy(body)
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(str::to_owned)
                .collect()
        };
        let mut answer = IngestAnswer::default();
        // Blocking threads belong to the runtime, so that there is one to wait on.
        let runtime = tokio::runtime::Handle::current();
        for records in records.chunks(TURN) {
            let lines = read_lines(engine, records, true);
            let known: Vec<_> = lines.iter().map(|line| engine.known(&line.masked)).collect();
            let missing = missing(&lines, &known);
            let judged = match runtime.block_on(self.judge(&loaded, &missing)) {
                Ok(judged) => judged,
                Err(error) if answer.records == 0 => return Err(error),
                Err(_) => break,
            };
            let verdicts = fill(known, judged);
            let seen = lines.iter().zip(&verdicts).map(|(line, verdict)| Seen {
                text: &line.text,
                source,
                masked: &line.masked,
                verdict: *verdict,
            });
            let seen: Vec<_> = seen.collect();
            for (seen, recorded) in seen.iter().zip(self.see(engine.version(), &seen)) {
                let correction = recorded.correction.as_deref();
                answer
                    .add(correction.map_or(seen.verdict.risk, |correction| correction.risk), recorded.first);
            }
        }
        if answer.new_patterns > 0 {
            self.catalogue.flush()?;
        }
        if answer.records < records.len() {
            return Err(ApiError::busy(
                "ingest_cut_off",
                format!(
                    "the first {} of {} records were counted; send the rest again",
                    answer.records,
                    records.len()
                ),
                Duration::from_secs(1),
            ));
        }
        Ok(answer)
    }

    /// Counts scored lines, in order, and shows them to those who watch. What comes back of each also tells the correction in force.
    pub fn see(&self, model_version: &str, lines: &[Seen<'_>]) -> Vec<Recorded> {
        let now = Timestamp::now();
        let listened = self.hub.listens();
        let (mut risks, mut unsure, mut first) = ([[0; Tag::COUNT]; Risk::COUNT], 0, 0);
        let sightings: Vec<Sighting<'_>> = lines
            .iter()
            .map(|Seen { text, source, masked, verdict }| Sighting {
                pattern: masked.pattern,
                masked: &masked.text,
                text,
                source,
                at: now,
                risk: verdict.risk,
                score: verdict.score,
                interval: verdict.interval,
                unsure: verdict.unsure,
                tag: verdict.tag,
                model_version,
            })
            .collect();
        let recorded = self.catalogue.record(&sightings);
        for (Seen { text, source, masked, verdict }, recorded) in lines.iter().zip(&recorded) {
            let correction = recorded.correction.as_deref();
            let risk = correction.map_or(verdict.risk, |correction| correction.risk);
            let tag = correction.and_then(|correction| correction.tag).unwrap_or(verdict.tag);
            first += u64::from(recorded.first);
            unsure += u64::from(verdict.unsure && correction.is_none());
            count(&mut risks, risk.get(), tag.as_str());
            if !recorded.silenced {
                self.alert(text, masked, verdict, correction);
            }
            if listened && !recorded.silenced {
                let row = LineRow::new(masked, verdict, recorded, now, source, text);
                let novel = recorded.first.then(|| serde_json::to_string(&row).ok()).flatten();
                self.hub.line(row);
                if let Some(json) = novel {
                    self.hub.event("novel", &json);
                }
            }
        }
        self.metrics.count_lines(&risks);
        self.metrics.new_patterns.inc_by(first);
        self.metrics.ingested_lines.inc_by(lines.len() as u64);
        self.metrics.unsure_lines.inc_by(unsure);
        recorded
    }

    /// Masks a line without judging it: what `feedback` on a line needs. Also gives the model's risk, if it is known.
    pub(crate) fn pattern_of(&self, line: &str) -> Result<(String, Masked, Option<Risk>), ApiError> {
        let loaded = self.require_model()?;
        let line = read_line(&*loaded.engine, line, true);
        let risk = loaded.engine.known(&line.masked).map(|verdict| verdict.risk);
        Ok((line.text, line.masked, risk))
    }
}

fn read_line(engine: &dyn Engine, line: &str, preprocess: bool) -> Line {
    let text = engine.redact(line).into_owned();
    let masked = engine.mask(&text, preprocess);
    Line { text, masked }
}

pub(crate) fn read_lines(engine: &dyn Engine, lines: &[String], preprocess: bool) -> Vec<Line> {
    lines.iter().map(|line| read_line(engine, line, preprocess)).collect()
}

fn missing(lines: &[Line], known: &[Option<Verdict>]) -> Vec<Masked> {
    lines
        .iter()
        .zip(known)
        .filter(|(_, known)| known.is_none())
        .map(|(line, _)| line.masked.clone())
        .collect()
}

/// Puts what was judged where it was missing.
fn fill(known: Vec<Option<Verdict>>, judged: Vec<Verdict>) -> Vec<Verdict> {
    let mut judged = judged.into_iter();
    known.into_iter().filter_map(|verdict| verdict.or_else(|| judged.next())).collect()
}

fn count(risks: &mut [[u64; Tag::COUNT]; Risk::COUNT], risk: u8, tag: &str) {
    let tag = Tag::ALL.iter().position(|one| one.as_str() == tag).unwrap_or(0);
    if let Some(count) = risks.get_mut(usize::from(risk)).and_then(|tags| tags.get_mut(tag)) {
        *count += 1;
    }
}
