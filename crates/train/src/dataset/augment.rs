//! From a filled message to what the model would read if a real program had printed it.
//!
//! ```text
//! message ─► level: present, absent or lying ─► stack, noise, case ─► a real format ─► carrier ─► the real path
//! ```
//!
//! Whatever happens here, the target stays: a lying level, a logger or a format must not move the answer.

use std::fmt::Write as _;

use logrisk_base::{Level, Risk, Tag};
use serde::Deserialize;

use super::{
    canonical::Canonical,
    levels,
    random::Random,
    stack, values,
    wrap::{Carrier, Format, Line},
};

const LOGGERS: &[&str] = &[
    "main",
    "root",
    "server",
    "http",
    "db",
    "worker",
    "OrderService",
    "KafkaConsumer",
    "controller",
    "reconciler",
    "app.api",
    "scheduler",
    "cache",
    "auth",
    "storage",
    "net",
    "raft",
    "gc",
    "cluster",
    "Dispatcher",
    "RequestHandler",
    "sync",
    "health",
    "pool",
    "queue",
    "session",
    "config",
    "agent",
    "proxy",
    "watcher",
    "store",
    "runner",
    "DataSource",
];
const HOSTS: &[&str] =
    &["node-1", "web3", "db-primary", "ip-10-0-3-17", "worker12", "edge-fra-2", "localhost", "srv01"];

/// How often a line declares its level, and how truly. The three are shares; they need not sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LevelMix {
    /// The level that the software attaches.
    pub present: f64,
    /// No level.
    pub absent: f64,
    /// A level at least two classes off.
    pub lying: f64,
}

impl Default for LevelMix {
    fn default() -> Self {
        Self { present: 0.70, absent: 0.25, lying: 0.05 }
    }
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Draft<'a> {
    /// The filled message.
    pub message: String,
    /// The level that its software attaches.
    pub level: Option<Level>,
    /// A level may be made up from the risk where the software attaches none.
    pub may_declare: bool,
    /// The risk, for made-up levels and stacks.
    pub risk: Risk,
    /// The tag, where it is known.
    pub tag: Option<Tag>,
    /// The software's name, one of the possible loggers.
    pub software: &'a str,
    /// The line brings its own frame.
    pub framed: bool,
    /// The end may be cut off: the words that decide are not at a known place.
    pub may_cut: bool,
}

/// Writes the draft as a real program would and takes it through the real path. Returns the tag, which a stack trace
/// may have changed.
pub(super) fn render(
    draft: Draft<'_>,
    mix: LevelMix,
    canonical: &mut Canonical,
    random: &mut Random,
    out: &mut String,
) -> Option<Tag> {
    let time = jiff::Timestamp::from_millisecond(random.between(1_672_531_200_000, 1_798_761_600_000) as i64);
    let mut raw = String::with_capacity(draft.message.len() + 200);
    let tag = write(draft, mix, time.unwrap_or(jiff::Timestamp::UNIX_EPOCH), None, random, &mut raw);
    canonical.append(&raw, true, out);
    tag
}

/// Writes the draft as a real program would, in that format or, without one, in any.
pub(super) fn write(
    mut draft: Draft<'_>,
    mix: LevelMix,
    time: jiff::Timestamp,
    format: Option<Format>,
    random: &mut Random,
    out: &mut String,
) -> Option<Tag> {
    let level = declared(&draft, mix, random).filter(|_| !draft.framed);
    let tag = disturb(&mut draft, random);
    let logger = if random.chance(0.15) { draft.software } else { random.pick(LOGGERS) };
    let line = Line { message: &draft.message, level, logger, host: random.pick(HOSTS), time };
    let any = match (draft.framed, level) {
        (true, _) if random.chance(0.8) => Format::Plain,
        (true, _) => Format::Syslog3164,
        (false, level) => Format::any(level.is_some(), random),
    };
    let carrier = match random.below(20) {
        0 | 1 => Some(Carrier::Cri),
        2 => Some(Carrier::Docker),
        _ => None,
    };
    match (format, carrier) {
        (Some(format), _) => format.write_into(&line, random, out),
        (None, None) => any.write_into(&line, random, out),
        (None, Some(carrier)) => {
            let mut record = String::with_capacity(draft.message.len() + 120);
            any.write_into(&line, random, &mut record);
            carrier.write_into(&record, time, random, out);
        }
    }
    tag
}

fn declared(draft: &Draft<'_>, mix: LevelMix, random: &mut Random) -> Option<Level> {
    match (draft.level, random.weighted(&[mix.present, mix.absent, mix.lying])) {
        (level, 0) if level.is_some() => level,
        (Some(level), 2) => Some(levels::lying(level, random)),
        // Software that attaches none: sometimes a shipper or a wrapper adds one.
        (None, 0) if draft.may_declare && random.chance(0.5) => Some(levels::honest(draft.risk, random)),
        (None, 0) if random.chance(0.3) => Some(Level::Info),
        (None, 2) if draft.may_declare => Some(levels::lying(levels::honest(draft.risk, random), random)),
        _ => None,
    }
}

/// A stack trace, trailing noise, other case, a cut end: each rare, none with weight for the risk.
fn disturb(draft: &mut Draft<'_>, random: &mut Random) -> Option<Tag> {
    let message = &mut draft.message;
    let single = !message.contains('\n') && !draft.framed;
    if !single {
        return draft.tag;
    }
    if draft.may_cut && message.len() > 60 && random.chance(0.03) {
        let keep = message.len() * random.between(75, 95) as usize / 100;
        message.truncate(message.floor_char_boundary(keep));
    }
    match random.below(100) {
        0 | 1 => *message = message.to_lowercase(),
        2 => *message = message.to_uppercase(),
        3 | 4 => {
            message.push_str(" trace_id=");
            values::hex(16, random, message);
        }
        5 => {
            message.push_str(" [req-");
            values::hex(8, random, message);
            message.push(']');
        }
        6 => {
            _ = write!(
                message,
                " ({}:{})",
                random.pick(&["main.go", "app.py", "Service.java"]),
                random.between(9, 900)
            )
        }
        _ => {}
    }
    let exception = draft.tag == Some(Tag::Exception);
    let failing = (5..=8).contains(&draft.risk.get());
    if (exception && random.chance(0.3)) || (failing && draft.tag.is_some() && random.chance(0.04)) {
        stack::frames_into(random, message);
        return Some(Tag::Exception);
    }
    draft.tag
}
