//! Alerts by web hook: in the background, with retries, once per pattern in ten minutes.
//!
//! The fields are those of the first seed, so that what receives them goes on working; `count` and `dedup_key` are new.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use logrisk_base::{PatternId, Risk};
use serde_json::{Value, json};

/// One alert for a pattern in this time; more lines are counted.
const QUIET: Duration = Duration::from_secs(600);
/// Alerts that wait to be sent; more are dropped and counted.
const WAITING: usize = 256;
/// Patterns whose last alert is remembered.
const REMEMBERED: usize = 10_000;
/// A receiver that does not answer in this time is asked again.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before the second, third and fourth attempt.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// Characters of a line that an alert carries: the first seed's.
const CHARACTERS: usize = 500;

/// What receives alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Slack's incoming web hooks.
    Slack,
    /// Discord's web hooks.
    Discord,
    /// PagerDuty's events, version 2.
    PagerDuty,
    /// Plain JSON.
    Webhook,
}

/// Where alerts go, and from which risk on.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// What receives them.
    pub channel: Channel,
    /// Its address.
    pub url: String,
    /// Risks below are no alert.
    pub min_risk: Risk,
    /// PagerDuty's key of the service.
    pub routing_key: String,
}

/// A risky line.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its pattern.
    pub pattern: PatternId,
    /// The line, redacted.
    pub text: String,
    /// The risk in force.
    pub risk: Risk,
    /// The expected risk.
    pub score: f32,
}

/// The way to the thread that sends.
#[derive(Debug)]
pub struct Alerts {
    queue: SyncSender<Alert>,
    min_risk: Risk,
    figures: Arc<AlertFigures>,
}

/// What became of alerts.
#[derive(Debug, Default)]
pub struct AlertFigures {
    /// Delivered.
    pub sent: AtomicU64,
    /// Given up after all attempts, or dropped because too many waited.
    pub failed: AtomicU64,
}

impl Alerts {
    /// Starts the thread. It ends with the process: an alert that waits then is lost, as its line was already answered.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(settings: AlertSettings) -> io::Result<Self> {
        let (queue, alerts) = sync_channel(WAITING);
        let min_risk = settings.min_risk;
        let figures = Arc::new(AlertFigures::default());
        let counted = Arc::clone(&figures);
        thread::Builder::new().name("alerts".to_owned()).spawn(move || run(&settings, &alerts, &counted))?;
        Ok(Self { queue, min_risk, figures })
    }

    /// Risks below are no alert.
    #[must_use]
    pub const fn min_risk(&self) -> Risk {
        self.min_risk
    }

    /// What became of alerts.
    #[must_use]
    pub fn figures(&self) -> &AlertFigures {
        &self.figures
    }

    /// Has an alert sent. Never waits.
    pub fn raise(&self, alert: Alert) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(alert) {
            self.figures.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Decides which lines are alerts: the first of a pattern, then one in ten minutes with the count of those between.
#[derive(Debug, Default)]
struct Recent {
    patterns: HashMap<PatternId, (Instant, u64)>,
}

impl Recent {
    /// The lines that an alert stands for, or `None` if the pattern was spoken of lately.
    fn due(&mut self, pattern: PatternId, now: Instant) -> Option<u64> {
        if self.patterns.len() >= REMEMBERED {
            self.patterns.retain(|_, (last, _)| now.duration_since(*last) < QUIET);
        }
        match self.patterns.get_mut(&pattern) {
            Some((last, count)) if now.duration_since(*last) < QUIET => {
                *count += 1;
                None
            }
            found => {
                let count = found.map_or(0, |(_, count)| *count) + 1;
                self.patterns.insert(pattern, (now, 0));
                Some(count)
            }
        }
    }
}

fn run(settings: &AlertSettings, alerts: &Receiver<Alert>, figures: &AlertFigures) {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    let mut recent = Recent::default();
    for alert in alerts {
        let Some(count) = recent.due(alert.pattern, Instant::now()) else { continue };
        let payload = payload(settings, &alert, count).to_string();
        let counter = if deliver(&agent, &settings.url, &payload) { &figures.sent } else { &figures.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends with retries. What the receiver refuses for good (4xx but 408 and 429) is not sent again.
fn deliver(agent: &ureq::Agent, url: &str, payload: &str) -> bool {
    let mut pauses = PAUSES.iter();
    loop {
        let sent = agent.post(url).header("content-type", "application/json").send(payload);
        let error = match sent {
            Ok(_) => return true,
            Err(error) => error,
        };
        let refused = matches!(error, ureq::Error::StatusCode(status)
            if (400..500).contains(&status) && status != 408 && status != 429);
        let Some(pause) = pauses.next().filter(|_| !refused) else {
            // The address may hold a secret, so that it is not told.
            tracing::warn!(%error, "an alert could not be delivered");
            return false;
        };
        thread::sleep(*pause);
    }
}

/// The first seed's payloads.
fn payload(settings: &AlertSettings, alert: &Alert, count: u64) -> Value {
    let level = alert.risk.level_name();
    let (risk, score) = (alert.risk.get(), (f64::from(alert.score) * 1000.0).round() / 1000.0);
    let mut message: String = alert.text.chars().take(CHARACTERS).collect();
    if message.len() < alert.text.len() {
        message.push_str("...");
    }
    let (emoji, colour) = match risk {
        9.. => ("🚨", 0xFF_0000),
        7.. => ("⚠️", 0xFF_A500),
        _ => ("📋", 0xFF_FF00),
    };
    let title = format!("{emoji} High Risk Log Detected");
    let risk_text = format!("{risk} ({score:.2})");
    // A fence inside the line would end the quotation.
    let quoted = format!("```{}```", message.replace("```", "'''"));
    let dedup_key = format!("logrisk-{}", alert.pattern);
    match settings.channel {
        Channel::Slack => json!({
            "attachments": [{
                "color": format!("#{colour:06X}"),
                "blocks": [
                    {"type": "header", "text": {"type": "plain_text", "text": title}},
                    {"type": "section", "fields": [
                        {"type": "mrkdwn", "text": format!("*Risk Level:*\n{}", level.to_uppercase())},
                        {"type": "mrkdwn", "text": format!("*Risk Score:*\n{risk_text}")},
                        {"type": "mrkdwn", "text": format!("*Lines:*\n{count}")},
                    ]},
                    {"type": "section", "text": {"type": "mrkdwn", "text": format!("*Log Message:*\n{}", escaped(&quoted))}},
                ],
            }],
        }),
        Channel::Discord => json!({
            "embeds": [{
                "title": title,
                "color": colour,
                "fields": [
                    {"name": "Risk Level", "value": level.to_uppercase(), "inline": true},
                    {"name": "Risk Score", "value": risk_text, "inline": true},
                    {"name": "Lines", "value": count.to_string(), "inline": true},
                    {"name": "Log Message", "value": quoted, "inline": false},
                ],
            }],
            // A line must not be able to call people.
            "allowed_mentions": {"parse": []},
        }),
        Channel::PagerDuty => json!({
            "routing_key": settings.routing_key,
            "event_action": "trigger",
            "dedup_key": dedup_key,
            "payload": {
                "summary": format!("High Risk Log: {level} (score: {risk})"),
                "severity": if risk >= 9 { "critical" } else { "error" },
                "source": "k8s-log-scorer",
                "custom_details": {
                    "risk_label": risk,
                    "risk_score": score,
                    "risk_level": level,
                    "message": message,
                    "pattern_id": alert.pattern,
                    "count": count,
                },
            },
        }),
        Channel::Webhook => json!({
            "alert_type": "high_risk_log",
            "risk_label": risk,
            "risk_score": score,
            "risk_level": level,
            "message": message,
            "metadata": {"pattern_id": alert.pattern},
            "count": count,
            "dedup_key": dedup_key,
        }),
    }
}

/// Slack's own escapes, without which a line could make links and mentions.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
