//! Whole trainings on a tiny model: they learn, repeat themselves, resume bit for bit, and fail by name.

use std::{fs, ops::ControlFlow, path::Path};

use logrisk_base::Tag;
use logrisk_score::weights::{Activation, Shape, Weights};
use logrisk_train::{
    example::Example,
    fine_tune::{Ending, Evaluation, History, Options, Progress, Silent, StepReport, TrainError, fine_tune},
};

fn model() -> Weights {
    let shape = Shape {
        vocabulary: 64,
        hidden: 32,
        layers: 2,
        heads: 4,
        intermediate: 64,
        positions: 24,
        norm_epsilon: 1e-12,
        activation: Activation::Gelu,
    };
    Weights::random(shape, 5)
}

fn tokenize(text: &str, ids: &mut Vec<u32>) {
    ids.push(1);
    ids.extend(text.bytes().map(|byte| u32::from(byte) % 64));
    ids.push(2);
}

/// Lines whose first letter says the risk, among others of no meaning.
fn examples(count: usize, salt: usize) -> Vec<Example> {
    (0..count)
        .map(|index| {
            let risk = (index * 7 + salt) % 11;
            let filler = "abcdefghij".chars().cycle().skip(index % 10).take(1 + (index * 5 + salt) % 17);
            let mut target = [0.0; 11];
            target[risk] = 1.0;
            Example {
                text: std::iter::once(char::from(b'A' + risk as u8)).chain(filler).collect(),
                target,
                tag: (index % 3 > 0).then_some(Tag::ALL[risk / 3]),
                weight: 1.0,
            }
        })
        .collect()
}

fn options() -> Options {
    Options {
        epochs: 4,
        batch_lines: 16,
        batch_tokens: 300,
        line_tokens: 24,
        learning_rate: 3e-3,
        attention_dropout: 0.1,
        average: Some(0.99),
        threads: 2,
        ..Options::default()
    }
}

/// Breaks off after so many steps.
struct StopAt(u64);

impl Progress for StopAt {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        if report.step >= self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn evaluation(&mut self, _evaluation: &Evaluation, _best: bool) {}
}

fn train(options: &Options, progress: &mut dyn Progress) -> (Weights, Result<History, TrainError>) {
    let mut weights = model();
    let mut source = examples(400, 0);
    let history = fine_tune(&mut weights, &mut source, &examples(60, 3), &tokenize, options, progress);
    (weights, history)
}

fn bits(weights: &Weights) -> Vec<u32> {
    weights.tensors().iter().flat_map(|tensor| tensor.values.iter().map(|value| value.to_bits())).collect()
}

fn in_folder(folder: &Path) -> Options {
    Options { folder: Some(folder.to_owned()), resume: true, ..options() }
}

#[test]
fn it_learns_what_the_data_says() {
    let (_, history) = train(&Options { epochs: 24, average: None, ..options() }, &mut Silent);
    let history = history.unwrap();
    assert_eq!(history.ending, Some(Ending::Epochs));
    let last = history.evaluations.last().unwrap().validation.unwrap();
    assert!(last.exact > 0.9 && last.kappa > 0.95 && last.tag_accuracy > 0.9, "{last:?}");
}

#[test]
fn interrupted_and_resumed_equals_uninterrupted_bit_for_bit() {
    let (whole, _) = train(&Options { max_steps: Some(60), ..options() }, &mut Silent);
    let folder = tempfile::tempdir().unwrap();
    // Twice within an epoch, once past its end.
    for stop in [10, 17, 40] {
        let (_, history) =
            train(&Options { max_steps: Some(60), ..in_folder(folder.path()) }, &mut StopAt(stop));
        assert_eq!(history.unwrap().ending, Some(Ending::Interrupted));
    }
    let (resumed, history) = train(&Options { max_steps: Some(60), ..in_folder(folder.path()) }, &mut Silent);
    assert_eq!(history.unwrap().ending, Some(Ending::Steps));
    assert!(bits(&whole) == bits(&resumed));
}

#[test]
fn the_result_depends_on_the_seed_alone() {
    let short = Options { max_steps: Some(20), ..options() };
    let (first, _) = train(&short, &mut Silent);
    let (second, _) = train(&short, &mut Silent);
    let (other, _) = train(&Options { seed: 2, ..short }, &mut Silent);
    assert!(bits(&first) == bits(&second));
    assert!(bits(&first) != bits(&other));
}

#[test]
fn frozen_embeddings_stay_and_the_rest_moves() {
    let before = model();
    let (after, history) =
        train(&Options { freeze_embeddings: true, max_steps: Some(20), ..options() }, &mut Silent);
    history.unwrap();
    for (before, after) in before.tensors().iter().zip(after.tensors()) {
        let frozen = before.name.starts_with("embeddings.");
        assert_eq!(before.values == after.values, frozen, "{}", before.name);
    }
}

#[test]
fn patience_ends_a_training_that_no_longer_improves() {
    let impatient = Options { epochs: 1000, evaluate_every: Some(5), patience: Some(2), ..options() };
    let (_, history) = train(&impatient, &mut Silent);
    let history = history.unwrap();
    assert_eq!(history.ending, Some(Ending::Patience));
    let errors: Vec<f64> = history.evaluations.iter().map(|each| each.validation.unwrap().mae).collect();
    let best = history.evaluations.iter().position(|each| each.step == history.best_step).unwrap();
    assert!(errors.iter().all(|error| *error >= errors[best]));
    assert_eq!(best + 3, errors.len());
}

#[test]
fn a_diverging_training_stops_by_name() {
    let (_, history) = train(&Options { learning_rate: 1e38, clip: 1e38, ..options() }, &mut Silent);
    let error = history.unwrap_err().to_string();
    assert!(
        error.contains("training diverged at step") && error.contains("lower the learning rate"),
        "{error}"
    );
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let cases = [
        (
            Options { line_tokens: 25, ..options() },
            "lines of up to 25 tokens do not fit the model's 24 positions",
        ),
        (Options { dropout: 1.0, ..options() }, "dropout is 1; it must be at least 0 and below 1"),
        (Options { threads: 0, ..options() }, "training needs at least one thread"),
    ];
    for (options, expected) in cases {
        let error = train(&options, &mut Silent).1.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut weights = model();
    weights.layers[1].key.bias[3] = f32::NAN;
    let error =
        fine_tune(&mut weights, &mut examples(9, 0), &[], &tokenize, &options(), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("encoder.layer.1.attention.self.key.bias"), "{error}");
}

#[test]
fn no_examples_is_an_error() {
    let error =
        fine_tune(&mut model(), &mut Vec::new(), &[], &tokenize, &options(), &mut Silent).unwrap_err();
    assert_eq!(error.to_string(), "epoch 0 has no examples with text and weight; is the data file empty?");
}

#[test]
fn a_checkpoint_of_other_options_or_a_broken_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    train(&in_folder(folder.path()), &mut StopAt(3)).1.unwrap();
    let other = Options { dropout: 0.2, ..in_folder(folder.path()) };
    let error = train(&other, &mut Silent).1.unwrap_err().to_string();
    assert!(error.contains("it was made with dropout = 0.1"), "{error}");

    let path = folder.path().join("checkpoint.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = train(&in_folder(folder.path()), &mut Silent).1.unwrap_err().to_string();
    assert!(error.starts_with("cannot resume from"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_checkpoint_whole() {
    let folder = tempfile::tempdir().unwrap();
    train(&in_folder(folder.path()), &mut StopAt(3)).1.unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let before = fs::read(&path).unwrap();
    // Writing to /dev/full fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", folder.path().join("checkpoint.safetensors.partial")).unwrap();
    let error = train(&in_folder(folder.path()), &mut StopAt(6)).1.unwrap_err().to_string();
    assert!(error.starts_with("could not write checkpoint"), "{error}");
    assert!(fs::read(&path).unwrap() == before);
    assert!(!folder.path().join("checkpoint.safetensors.partial").exists());
    train(&in_folder(folder.path()), &mut StopAt(6)).1.unwrap();
}
