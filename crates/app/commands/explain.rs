//! `logrisk explain`: why a line has its risk.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use logrisk_base::Risk;
use logrisk_enrich::{
    parse::{Parsed, parse},
    redact::{Redactions, Redactor},
};
use logrisk_score::explain::Contribution;
use serde_json::json;

use super::score::EngineArgs;
use crate::{
    assemble::Block,
    input::Feeder,
    pipeline::{Pipeline, Scored, Worker, unwrap_record},
    render::{Format, Style},
    terminal::{Colour, RESET, colour_of, push_harmless},
    why::{DecidedBy, TagBy, Why},
};

/// Say why a line has its risk.
///
/// Shows what decided, how the line was taken apart, what each word adds to the expected risk (found by leaving it out),
/// and the known patterns that lie nearest, with the risks that people gave them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk explain 'ERROR db: connection refused to 10.0.0.7'
  kubectl logs deploy/api | tail -1 | logrisk explain
  logrisk explain --format json 'disk /dev/sda1 is at 97%' | jq .explanation.words

For many lines `logrisk score --format json --explain` does the same once for each pattern.")]
pub struct ExplainArgs {
    /// The line; every record of standard input if absent or `-`
    #[arg(allow_hyphen_values = true)]
    line: Option<String>,

    /// How it is said
    #[arg(long, short, value_enum, default_value_t = ExplainFormat::Text)]
    format: ExplainFormat,

    /// When to colour
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,

    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExplainFormat {
    /// For eyes.
    Text,
    /// One object a record: what `logrisk score` writes, with `parsed` and `explanation`.
    Json,
}

/// Runs the command.
///
/// # Errors
/// When model, rules or standard input cannot be read, or standard output cannot be written to.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let redactor = Redactor::new(Redactions { secrets: true, personal: false });
    let mut pipeline = args.engine.pipeline(Some(redactor), false)?;
    pipeline.explain = true;
    let view = View { pipeline: &pipeline, format: args.format, colour: args.color.for_stdout() };
    let mut worker = Worker::default();
    match args.line.as_deref() {
        Some(line) if line != "-" => view.show(&Block::of(line), &mut worker)?,
        _ => {
            if io::stdin().is_terminal() {
                eprintln!("logrisk: reading lines from the terminal; end with Ctrl-D");
            }
            let mut feeder = Feeder::new(&[], false, true)?;
            let mut used = Block::default();
            while let Some(block) = feeder.next_block(used) {
                view.show(&block, &mut worker)?;
                used = block;
            }
            for failure in feeder.failures() {
                eprintln!("logrisk: could not read {}: {}", failure.name, failure.cause);
            }
            if !feeder.failures().is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Characters of a record that are shown.
const SHOWN: usize = 1000;

struct View<'a> {
    pipeline: &'a Pipeline,
    format: ExplainFormat,
    colour: bool,
}

/// Words that are listed; the others move little.
const LISTED: usize = 12;
/// A word that moves the expected risk by less is not listed.
const SMALLEST: f32 = 0.05;

impl View<'_> {
    /// One record after the other, so that the first is seen at once.
    fn show(&self, block: &Block, worker: &mut Worker) -> anyhow::Result<()> {
        for range in &block.records {
            let single = Block::of(block.text.get(range.clone()).unwrap_or_default());
            for scored in self.pipeline.score(&single, worker) {
                let Some(why) = &scored.known.why else { continue };
                let content = unwrap_record(&scored.text);
                let parsed = parse(&content);
                let mut out = String::new();
                match self.format {
                    ExplainFormat::Json => self.push_json(&scored, &parsed, &mut out),
                    ExplainFormat::Text => self.push_text(&scored, why, &parsed, &mut out),
                }
                io::stdout().lock().write_all(out.as_bytes())?;
            }
        }
        Ok(())
    }

    /// As `logrisk score` writes it, and how the record was taken apart.
    fn push_json(&self, scored: &Scored<'_>, parsed: &Parsed<'_>, out: &mut String) {
        let style = Style { format: Format::Json, colour: false, probabilities: true, harmless: false };
        style.push(scored, self.pipeline.model.version(), out);
        // Before the closing brace and its newline.
        out.truncate(out.trim_end().len().saturating_sub(1));
        let parts = json!({
            "format": format!("{:?}", parsed.format).to_lowercase(),
            "time": parsed.timestamp,
            "level": parsed.level,
            "logger": parsed.logger,
            "message": parsed.message,
        });
        _ = writeln!(out, ",\"parsed\":{parts}}}");
    }

    fn push_text(&self, scored: &Scored<'_>, why: &Why, parsed: &Parsed<'_>, out: &mut String) {
        let known = &scored.known;
        let shown =
            scored.text.char_indices().nth(SHOWN).map_or(&*scored.text, |(end, _)| &scored.text[..end]);
        let cut = if shown.len() < scored.text.len() { "…" } else { "" };
        push_row(out, "line", &format!("{shown}{cut}"));
        let (low, high) = known.interval;
        let unsure = if known.unsure { "; unsure, look yourself" } else { "" };
        let about = format!("expected {:.1}, 80 % within {low}–{high}{unsure}", known.score);
        let name = known.label.level_name();
        push_head(out, "risk");
        _ = writeln!(out, "{} {about}", self.coloured(known.label, &format!("{} {name},", known.label)));
        let decided = match why.decided_by {
            DecidedBy::Model => format!("the model, {}", self.pipeline.model.version()),
            DecidedBy::Rules => "level and rules: masking left no word for the model".to_owned(),
            DecidedBy::Nothing => "nothing was logged".to_owned(),
        };
        push_row(out, "decided by", &decided);
        let tag = match why.tag_by {
            TagBy::Rules => "by rules",
            TagBy::Level => "by the declared level",
            TagBy::Model => "by the model: no rule matched, no level declared",
        };
        push_row(out, "tag", &format!("{}, {tag}", known.tag));
        for rule in &why.rules {
            push_row(out, "rule", &format!("{} ({}) matched {:?}", rule.rule, why.rules_file, rule.phrase));
        }
        let mut parts = format!("{:?}", parsed.format).to_lowercase();
        let level = parsed.level.map(|level| level.to_string());
        for (name, value) in [("level", level.as_deref()), ("logger", parsed.logger.as_deref())] {
            if let Some(value) = value {
                _ = write!(parts, ", {name} {value}");
            }
        }
        push_row(out, "parsed", &parts);
        push_row(out, "pattern", &format!("{}  {}", known.pattern, why.masked));
        self.push_words(&why.explanation.words, known.label, out);
        self.push_nearest(why, out);
        out.push('\n');
    }

    fn push_words(&self, words: &[Contribution], label: Risk, out: &mut String) {
        let mut words: Vec<&Contribution> =
            words.iter().filter(|word| word.effect.abs() >= SMALLEST).collect();
        words.sort_by(|one, other| other.effect.abs().total_cmp(&one.effect.abs()));
        let Some(largest) = words.first().map(|word| word.effect.abs()) else { return };
        out.push_str("\nWithout the word, the expected risk would be lower (+) or higher (−) by\n");
        for word in words.iter().take(LISTED) {
            let width = ((word.effect.abs() / largest) * 20.0).ceil() as usize;
            let sign = if word.effect < 0.0 { '−' } else { '+' };
            // What makes it worse has the colour of the risk, what makes it better that of harmless lines.
            let colour = if word.effect < 0.0 { Risk::MIN } else { label };
            let bar = self.coloured(colour, &format!("{:<20}", "█".repeat(width)));
            _ = write!(out, "  {sign}{:.2}  {bar}  ", word.effect.abs());
            push_harmless(&word.word, out);
            out.push('\n');
        }
    }

    fn push_nearest(&self, why: &Why, out: &mut String) {
        if why.explanation.nearest.is_empty() {
            return;
        }
        out.push_str("\nNearest known patterns: likeness, the risk that a person gave\n");
        for near in &why.explanation.nearest {
            let risk = self.coloured(near.risk, &format!("{:>2}", near.risk));
            _ = write!(out, "  {:.2}  {risk}  ", near.similarity);
            push_harmless(&near.pattern, out);
            out.push('\n');
        }
    }

    fn coloured(&self, risk: Risk, text: &str) -> String {
        if self.colour { format!("{}{text}{RESET}", colour_of(risk)) } else { text.to_owned() }
    }
}

fn push_head(out: &mut String, name: &str) {
    _ = write!(out, "{name:<12}");
}

fn push_row(out: &mut String, name: &str, text: &str) {
    push_head(out, name);
    push_harmless(text, out);
    out.push('\n');
}
