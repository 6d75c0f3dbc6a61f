//! `logrisk train`: from labelled lines, or a recipe, to a model archive.

mod display;
mod start;
mod teach;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use clap::{Args, Command, FromArgMatches};
use logrisk_base::Risk;
use logrisk_score::{
    archive::{Archive, Description},
    model::Model,
    tokenize::Tokenizer,
    weights::{Storage, Weights},
};
use logrisk_train::{
    calibrate::{JudgedText, calibrate, known},
    dataset::{
        Canonical, Conflicts, Dataset, DatasetError, Recipe, expected_risk, labelled_target, read_labelled,
        read_truths,
    },
    distil::Distilled,
    example::{Example, ExampleSource},
    fine_tune::{Decay, Ending, Evaluation, History, Loss, Options, fine_tune},
    plot,
};
use serde_json::{Value, json};

use display::{Display, summary};
use start::starting_point;

/// Train a model on labelled lines.
///
/// Writes an archive that `logrisk score --model` reads, with the training's history as JSON and as a drawing. While it
/// runs, its checkpoints lie in a folder beside it, named OUTPUT.training; --resume goes on from there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk train --data corrections.csv --base models/default --output models/mine
  logrisk train --recipe config/recipe.yaml --base all-MiniLM-L6-v2 --output models/mine     as the shipped model was
  logrisk train --recipe config/recipe.yaml --shape mini --teacher models/default --output models/small

Data files are CSV or JSON lines with `text` (or `log`, `message`), `label` (or `risk`, `risk_label`), and if you
have them `tag` and `weight`.")]
pub struct TrainArgs {
    /// Labelled lines to learn from; may be given several times
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// A recipe of sources and settings, such as config/recipe.yaml
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Labelled lines to judge by; without it, what the recipe keeps aside
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// Lines that will judge the model later: refused if one has a pattern that the data has too; may be given several times
    #[arg(long, value_name = "FILE")]
    test: Vec<PathBuf>,
    /// What to do with a line that has two labels [default: the recipe's, or majority]
    #[arg(long, value_name = "majority|error")]
    conflicts: Option<Conflicts>,
    /// Train although all lines have one risk, or lines to judge by have patterns of the data
    #[arg(long)]
    force: bool,
    /// An archive of ours, a checkpoint of Hugging Face (BERT, DistilBERT, MiniLM) or an ONNX file to start from
    #[arg(long, value_name = "DIR", conflicts_with = "shape")]
    base: Option<PathBuf>,
    /// Without a base: the shape of the new model, `mini` or LAYERSxWIDTH
    #[arg(long, default_value = "mini")]
    shape: String,
    /// Keep only the first layers of the base
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Keep only the most used tokens of the base; from scratch, learn so many [default: all, or 8000]
    #[arg(long, value_name = "N")]
    vocabulary: Option<usize>,
    /// Where the archive is written
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Passes over the data [default: 3, or as many as --minutes allows]
    #[arg(long)]
    epochs: Option<usize>,
    /// Examples drawn for an epoch [default: the recipe's, or the lines of the data]
    #[arg(long, value_name = "N")]
    epoch_examples: Option<usize>,
    /// The most lines of a step
    #[arg(long, default_value_t = 64, value_name = "LINES")]
    batch_size: usize,
    /// The most tokens of a step
    #[arg(long, default_value_t = 2048, value_name = "TOKENS")]
    batch_tokens: usize,
    /// The most tokens of a line
    #[arg(long, default_value_t = 128, value_name = "TOKENS")]
    line_tokens: usize,
    /// The highest learning rate
    #[arg(long, default_value_t = 1e-4)]
    lr: f32,
    /// The share of the training in which the rate rises
    #[arg(long, default_value_t = 0.06, value_name = "SHARE")]
    warmup: f32,
    /// How the rate falls then: linear, cosine or constant
    #[arg(long, default_value_t = Decay::Linear)]
    decay: Decay,
    /// Of matrices, by AdamW
    #[arg(long, default_value_t = 0.01)]
    weight_decay: f32,
    /// Gradients are scaled down to this norm
    #[arg(long, default_value_t = 1.0)]
    clip: f32,
    /// The share of activations dropped
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    dropout: f32,
    /// The share of attention probabilities dropped
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    attention_dropout: f32,
    /// The share of a target spread evenly over all risks
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    label_smoothing: f32,
    /// How much each risk counts: eleven numbers, from risk 0 to 10
    #[arg(long, value_delimiter = ',', value_name = "W,W,…")]
    class_weights: Option<Vec<f32>>,
    /// soft: cross-entropy to the target; ce: to its likeliest risk; ordinal: soft, and how far off
    #[arg(long, default_value_t = Loss::Ordinal)]
    loss: Loss,
    /// How often a line's level is hidden, so that the model learns to do without [default: the recipe's]
    #[arg(long, value_name = "SHARE")]
    level_dropout: Option<f64>,
    /// Of every draw, shuffle and dropout
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// [default: one a CPU]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Multiply in f32 even where bf16 is faster
    #[arg(long)]
    f32: bool,
    /// Stop after so long; the learning rate then falls with the time
    #[arg(long)]
    minutes: Option<f64>,
    /// Stop after so many steps
    #[arg(long, value_name = "STEPS")]
    max_steps: Option<usize>,
    /// Go on from the checkpoint
    #[arg(long)]
    resume: bool,
    /// Write a checkpoint after so many steps [default: every epoch]
    #[arg(long, value_name = "STEPS")]
    checkpoint_every: Option<usize>,
    /// Evaluate after so many steps [default: every epoch]
    #[arg(long, value_name = "STEPS")]
    eval_every: Option<usize>,
    /// Stop after so many evaluations without a better one
    #[arg(long, value_name = "N")]
    patience: Option<usize>,
    /// Average the weights over time with this factor a step, such as 0.999, and keep the average
    #[arg(long, value_name = "FACTOR")]
    ema: Option<f32>,
    /// Leave the embeddings as the base has them; faster
    #[arg(long)]
    freeze_embeddings: bool,
    /// An archive whose beliefs are mixed into the targets; of several, their mean
    #[arg(long, value_name = "DIR")]
    teacher: Vec<PathBuf>,
    /// The teachers' share of a target
    #[arg(long, default_value_t = 0.7, value_name = "SHARE")]
    teacher_share: f32,
    /// First train so many models that differ by their seed alone; they then teach the one that is kept
    #[arg(long, default_value_t = 0, value_name = "N")]
    ensemble: usize,
}

/// At most so many held-out examples judge a model while it trains: all of them would take as long as the training.
const JUDGES: usize = 4000;

/// Runs the command.
///
/// # Errors
/// When data, base or settings cannot be used, or nothing can be written.
pub fn run(given: &TrainArgs) -> anyhow::Result<ExitCode> {
    let with_recipe = match &given.recipe {
        Some(path) => Some(settings_of(path)?),
        None => None,
    };
    let args = with_recipe.as_ref().unwrap_or(given);
    refuse_occupied(&args.output)?;
    let dataset = Dataset::open(recipe(args)?)?;
    check(args, &dataset)?;
    let mut dataset = Distilled { teachers: teach::given(args)?, share: args.teacher_share, source: dataset };
    let validation = match &args.validation {
        Some(path) => read_validation(path)?,
        None => {
            let held_out = dataset.source.validation();
            held_out.iter().step_by(held_out.len().div_ceil(JUDGES).max(1)).cloned().collect()
        }
    };
    let mut options = options(args)?;
    if args.ensemble > 0 {
        let ensemble = teach::ensemble(args, &mut dataset, &validation, &options)?;
        dataset.teachers.extend(ensemble);
        options.resume &= teach::begun(&working_folder(&args.output));
    }
    let Trained { weights, tokenizer, base, history } = fit(args, &mut dataset, &validation, &options)?;

    let teachers: Vec<&str> = dataset.teachers.iter().map(Model::version).collect();
    let dataset = &dataset.source;
    let sizes = dataset.sizes();
    let created = now();
    let mut archive = Archive {
        weights,
        tokenizer,
        description: Description {
            version: format!("trained-{}", created.replace([':', '-'], "")),
            created,
            training: as_given(&options)?,
            data: json!({
                "base": base,
                "weak_pairs": sizes.weak_pairs,
                "read_labels": sizes.read_labels,
                "templates": sizes.templates,
                "labelled": sizes.labelled,
                "teachers": teachers,
                "held_out": dataset.held_out(),
            }),
            figures: json!({ "validation": best(&history) }),
            ..Description::default()
        },
        known: Some(dataset.patterns().to_vec()).filter(|patterns| !patterns.is_empty()).map(known),
    };
    let judged = if args.validation.is_some() { judged(&validation) } else { dataset.judged().to_vec() };
    match calibrate(&mut archive, &judged) {
        Ok(figures) => eprintln!("{}", super::calibrate::summary(&figures)),
        // Its answers can be used as they are.
        Err(error) => eprintln!("not calibrated: {error}"),
    }
    finish(args, &archive, &options, &history)?;
    Ok(ExitCode::SUCCESS)
}

/// What one training leaves.
struct Trained {
    weights: Weights,
    tokenizer: Tokenizer,
    /// The name of what it started from.
    base: String,
    history: History,
}

/// One training, from the base or from scratch.
fn fit(
    args: &TrainArgs,
    dataset: &mut Distilled<Dataset>,
    validation: &[Example],
    options: &Options,
) -> anyhow::Result<Trained> {
    // The vocabulary is the same whatever the seed, so that seeds can be compared.
    let sample = dataset.source.epoch(0, 0);
    let (mut weights, tokenizer, base) = starting_point(args, &sample)?;
    drop(sample);
    eprintln!(
        "{} layers × {}, {} tokens, {} examples an epoch, {} held out, {} threads, factors in {}",
        weights.shape.layers,
        weights.shape.hidden,
        tokenizer.len(),
        recipe(args)?.epoch_examples,
        validation.len(),
        options.threads,
        if options.bf16 { "bf16" } else { "f32" }
    );
    let tokenize = |text: &str, ids: &mut Vec<u32>| tokenizer.encode_into(text, options.line_tokens, ids);
    let mut display = Display::new();
    let result = fine_tune(&mut weights, dataset, validation, &tokenize, options, &mut display);
    display.bar.finish_and_clear();
    let history = result.with_context(|| format!("could not train {}", args.output.display()))?;
    Ok(Trained { weights, tokenizer, base, history })
}

/// The arguments once more, those of the recipe first: of a flag that is given twice the last one counts.
fn settings_of(recipe: &Path) -> anyhow::Result<TrainArgs> {
    let training = Recipe::read(recipe)?.training;
    let settings =
        training.iter().filter_map(|(flag, setting)| setting.as_argument(flag)).map(OsString::from);
    let given = std::env::args_os().skip_while(|argument| argument != "train").skip(1);
    let command =
        TrainArgs::augment_args(Command::new("train").no_binary_name(true).args_override_self(true));
    let matches = command.try_get_matches_from(settings.chain(given)).map_err(|error| {
        let problem = error.to_string();
        let problem = problem.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        anyhow!("{}, training: {problem}", recipe.display())
    })?;
    Ok(TrainArgs::from_arg_matches(&matches)?)
}

/// Before hours of training, not after them.
pub fn refuse_occupied(output: &Path) -> anyhow::Result<()> {
    let occupied = fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(
        !occupied || output.join("manifest.json").is_file(),
        "folder {} exists and is no model archive; name another --output or remove it",
        output.display()
    );
    Ok(())
}

/// As JSON, with numbers as they were given: a detour over text, since `to_value` widens 0.1 to 0.10000000149.
fn as_given(options: &Options) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&serde_json::to_string(options)?)?)
}

fn finish(args: &TrainArgs, archive: &Archive, options: &Options, history: &History) -> anyhow::Result<()> {
    let folder = &args.output;
    archive.write_folder(folder, Storage::F16)?;
    let write = |name: &str, content: String| {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("could not write {}", path.display()))
    };
    let record = json!({ "options": as_given(options)?, "history": history });
    write("training_history.json", serde_json::to_string_pretty(&record)? + "\n")?;
    write("training_history.svg", plot::svg(history))?;
    // Nothing is left to resume. That it cannot be removed is no reason to call the training failed.
    let _ = fs::remove_dir_all(working_folder(folder));
    let why = match history.ending {
        Some(Ending::Time) => "time is up",
        Some(Ending::Steps) => "all steps done",
        Some(Ending::Patience) => "no longer improving",
        _ => "all epochs done",
    };
    let figures = best(history).map_or(String::new(), |each| summary(&each));
    eprintln!("{why}; best at step {}{figures}; wrote {}", history.best_step, folder.display());
    Ok(())
}

/// The evaluation whose weights were kept.
fn best(history: &History) -> Option<Evaluation> {
    history.evaluations.iter().find(|each| each.step == history.best_step).copied()
}

fn working_folder(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".training");
    output.with_file_name(name)
}

fn recipe(args: &TrainArgs) -> anyhow::Result<Recipe> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::read(path)?,
        None if args.data.is_empty() => bail!("nothing to learn from; give --data or --recipe"),
        None => {
            let mut lines = 0;
            for path in &args.data {
                lines += read_labelled(path, args.conflicts.unwrap_or_default())?.rows.len();
            }
            Recipe { built_in_templates: false, epoch_examples: lines, ..Recipe::default() }
        }
    };
    recipe.labelled.extend(args.data.iter().cloned());
    recipe.conflicts = args.conflicts.unwrap_or(recipe.conflicts);
    if let Some(examples) = args.epoch_examples {
        recipe.epoch_examples = examples;
    }
    if let Some(share) = args.level_dropout {
        ensure!((0.0..=1.0).contains(&share), "--level-dropout is {share}; use a share between 0 and 1");
        let levels = &mut recipe.levels;
        levels.absent = share;
        levels.present = (1.0 - share - levels.lying).max(0.0);
    }
    Ok(recipe)
}

/// Refuses what would waste hours or deceive; says what is odd.
fn check(args: &TrainArgs, dataset: &Dataset) -> anyhow::Result<()> {
    let mut checks = vec![dataset.require_two_classes()];
    checks.extend(args.validation.iter().chain(&args.test).map(|path| dataset.require_unseen(path)));
    for check in checks {
        match check {
            Err(problem @ (DatasetError::OneClass { .. } | DatasetError::Leakage { .. })) if args.force => {
                eprintln!("warning: {problem}");
            }
            other => other?,
        }
    }
    let missing: Vec<String> = dataset.missing_risks().iter().map(Risk::to_string).collect();
    if !missing.is_empty() {
        eprintln!("warning: no line has risk {}; the model will hardly ever answer so", missing.join(", "));
    }
    let conflicts = dataset.sizes().conflicts;
    if conflicts > 0 {
        eprintln!(
            "warning: texts with two different labels: {conflicts}; the label with more weight was kept"
        );
    }
    Ok(())
}

fn read_validation(path: &Path) -> anyhow::Result<Vec<Example>> {
    let mut canonical = Canonical::new();
    let rows = read_truths(path)?.into_iter().filter_map(|truth| Some((truth.risk?, truth.text)));
    let examples: Vec<Example> = rows
        .map(|(risk, text)| Example {
            text: canonical.text(&text),
            target: labelled_target(risk),
            tag: None,
            weight: 1.0,
        })
        .collect();
    ensure!(!examples.is_empty(), "{} has no line with a risk to judge by", path.display());
    Ok(examples)
}

/// Lines to judge by as lines to calibrate on: each text is a family of its own.
fn judged(validation: &[Example]) -> Vec<JudgedText> {
    let judged = validation.iter().map(|example| JudgedText {
        text: example.text.clone(),
        risk: Risk::nearest(expected_risk(&example.target)),
        family: example.text.clone(),
    });
    judged.collect()
}

fn options(args: &TrainArgs) -> anyhow::Result<Options> {
    let class_weights = args
        .class_weights
        .as_ref()
        .map(|weights| {
            <[f32; Risk::COUNT]>::try_from(weights.as_slice()).with_context(|| {
                format!("--class-weights needs {} numbers, not {}", Risk::COUNT, weights.len())
            })
        })
        .transpose()?;
    if let Some(minutes) = args.minutes {
        ensure!(minutes.is_finite() && minutes > 0.0, "--minutes is {minutes}; use a number above 0");
    }
    let defaults = Options::default();
    Ok(Options {
        // Without end: then the time decides.
        epochs: args.epochs.unwrap_or(if args.minutes.is_some() { 1_000_000 } else { 3 }),
        max_steps: args.max_steps,
        time: args.minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes)),
        batch_lines: args.batch_size,
        batch_tokens: args.batch_tokens,
        line_tokens: args.line_tokens,
        learning_rate: args.lr,
        warmup: args.warmup,
        decay: args.decay,
        weight_decay: args.weight_decay,
        clip: args.clip,
        dropout: args.dropout,
        attention_dropout: args.attention_dropout,
        loss: args.loss,
        label_smoothing: args.label_smoothing,
        class_weights,
        average: args.ema,
        freeze_embeddings: args.freeze_embeddings,
        seed: args.seed,
        threads: args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)),
        bf16: defaults.bf16 && !args.f32,
        evaluate_every: args.eval_every,
        patience: args.patience,
        folder: Some(working_folder(&args.output)),
        checkpoint_every: args.checkpoint_every,
        resume: args.resume,
        ..defaults
    })
}

/// The present moment, RFC 3339 in UTC, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
