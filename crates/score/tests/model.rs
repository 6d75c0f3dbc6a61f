//! The model as a whole, on random weights: order, batches, and what is refused.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use logrisk_base::{Risk, Tag};
use logrisk_score::{
    adapter::{Adapter, Correction},
    archive::{Archive, Description, LabelRule},
    calibration::Calibration,
    encoder::{Isa, Precision},
    known::KnownPatterns,
    model::{Assessment, Model, ModelScratch},
    tokenize::{Normalizer, VocabularyTrainer},
    weights::{Activation, Shape, Weights},
};

fn archive() -> Archive {
    let mut trainer = VocabularyTrainer::new(Normalizer::default(), &["<num>", "<ip>"]);
    trainer.add("error: connection to <ip> refused after <num> tries, disk full", 5);
    let tokenizer = trainer.finish(200).unwrap();
    let shape = Shape {
        vocabulary: tokenizer.len(),
        hidden: 32,
        layers: 2,
        heads: 2,
        intermediate: 64,
        positions: 40,
        norm_epsilon: 1e-12,
        activation: Activation::Gelu,
    };
    let mut weights = Weights::random(shape, 3);
    // BERT's initialisation barely tells texts apart; ten times as much does.
    for tensor in weights.tensors_mut() {
        if !tensor.name.contains("LayerNorm") {
            tensor.values.iter_mut().for_each(|value| *value *= 10.0);
        }
    }
    let description = Description { version: "random".to_owned(), ..Description::default() };
    Archive { weights, tokenizer, description, known: None }
}

fn model() -> Model {
    Model::load(archive(), Precision::F32, Isa::detect()).unwrap()
}

fn assess(model: &Model, texts: &[&str]) -> Vec<Assessment> {
    let mut answers = Vec::new();
    model.assess(texts, &mut ModelScratch::default(), &mut answers);
    answers
}

#[test]
fn a_batch_gives_exactly_what_singles_give_and_in_order() {
    let model = model();
    let long = "connection refused ".repeat(60);
    let texts: Vec<String> = (0..700)
        .map(|n| match n % 7 {
            0 => String::new(),
            1 => long.clone(),
            _ => format!("error {n}: disk full after <num> tries {}", "x ".repeat(n % 11)),
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let batch = assess(&model, &texts);
    assert_eq!(batch.len(), texts.len());
    let mut scratch = ModelScratch::default();
    for (text, expected) in texts.iter().zip(&batch) {
        let mut single = Vec::new();
        model.assess(&[text], &mut scratch, &mut single);
        assert_eq!(single, [*expected], "{text}");
        assert!((expected.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((expected.tags.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert_ne!(batch[2], batch[3], "different texts get different answers");
}

#[test]
fn answers_are_appended() {
    let (model, mut scratch, mut answers) = (model(), ModelScratch::default(), Vec::new());
    model.assess(&["error"], &mut scratch, &mut answers);
    model.assess(&["", "disk"], &mut scratch, &mut answers);
    assert_eq!(answers, assess(&model, &["error", "", "disk"]));
    model.assess(&[], &mut scratch, &mut answers);
    assert_eq!(answers.len(), 3);
}

#[test]
fn a_text_without_tokens_is_nothing() {
    for text in ["", " ", "\t\r\n", "\0\u{1}\u{200b}\u{feff}", "\u{301}"] {
        let answers = assess(&model(), &[text]);
        assert_eq!(answers, [Assessment::NOTHING], "{text:?}");
        assert_eq!((answers[0].label().get(), answers[0].tag()), (0, Tag::Debug));
    }
}

#[test]
fn no_more_tokens_are_read_than_there_are_positions() {
    let model = model();
    assert_eq!(model.limit(), 40);
    assert_eq!(model.with_limit(1_000_000).limit(), 40);
    let model = self::model().with_limit(12);
    let head = "error ".repeat(8);
    // Room for ten: eight of the head, two of the tail.
    let cut = assess(&model, &[&format!("{head}{}refused <num>", "disk ".repeat(500))]);
    assert_eq!(cut, assess(&model, &[&format!("{head}refused <num>")]));
}

#[test]
fn the_archive_says_how_the_label_is_chosen() {
    let spread = Assessment {
        probabilities: [0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.3],
        ..Assessment::NOTHING
    };
    assert_eq!(model().label(&spread).get(), 6);
    let mut archive = archive();
    archive.description.label_rule = LabelRule::MostLikely;
    let model = Model::load(archive, Precision::F32, Isa::Portable).unwrap();
    assert_eq!((model.label(&spread).get(), model.version()), (0, "random"));
}

#[test]
fn a_calibration_moves_the_answers_and_their_width() {
    let text = "error disk full";
    let before = assess(&model(), &[text])[0];
    let mut archive = archive();
    let mut calibration = Calibration { temperature: 1e6, unsure_width: 7, ..Calibration::default() };
    archive.description.calibration = Some(calibration.clone());
    let flat = Model::load(archive.clone(), Precision::F32, Isa::detect()).unwrap();
    let answer = assess(&flat, &[text])[0];
    assert!(answer.probabilities.iter().all(|share| (share - 1.0 / 11.0).abs() < 1e-3), "{answer:?}");
    assert_eq!(answer.tags, before.tags);
    assert_eq!((answer.interval().0.get(), answer.interval().1.get()), (1, 9));
    assert!(flat.is_unsure(&answer));
    calibration.bias[9] = 20.0;
    archive.description.calibration = Some(calibration);
    let biased = Model::load(archive, Precision::Bf16, Isa::detect()).unwrap();
    let answer = assess(&biased, &[text])[0];
    assert_eq!(answer.label().get(), 9);
    assert!(!biased.is_unsure(&answer));
}

#[test]
fn an_explanation_adds_up_from_single_answers() {
    let mut archive = archive();
    let patterns = [("error disk full".to_owned(), Risk::MAX), ("connection refused".to_owned(), Risk::MIN)];
    archive.known = Some(KnownPatterns::new(&patterns));
    let model = Model::load(archive, Precision::F32, Isa::detect()).unwrap();
    let explanation = model.explain("error: disk full", &mut ModelScratch::default());
    let words: Vec<&str> = explanation.words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(words, ["error", "disk", "full"]);
    let answers = assess(&model, &["error: disk full", "error: full"]);
    let difference = answers[0].expected() - answers[1].expected();
    assert!((explanation.words[1].effect - difference).abs() < 1e-6, "{explanation:?}");
    assert_eq!(explanation.nearest[0].pattern, "error disk full");
    assert_eq!(explanation.nearest.len(), 1, "the other has no word of it");
    for text in ["", "\0", "---", "<num>", &"word ".repeat(5000)] {
        let explanation = model.explain(text, &mut ModelScratch::default());
        assert!(explanation.words.len() <= 34, "{text:?}");
    }
}

#[test]
fn a_bare_encoder_is_refused() {
    let mut archive = archive();
    archive.weights.head = None;
    let error = Model::load(archive, Precision::Int8, Isa::detect()).unwrap_err().to_string();
    assert_eq!(
        error,
        "model random is a bare encoder without a risk head; fine-tune it with `logrisk train` first"
    );
}

fn adapter(archive: &Archive, scale: f32) -> Adapter {
    let correction = |pattern: &str, risk, weight| Correction {
        pattern: pattern.to_owned(),
        risk: Risk::new(risk).unwrap(),
        weight,
    };
    let corrections = vec![correction("disk full", 9, 2.0), correction("connection refused", 1, -2.0)];
    Adapter::new("random".into(), archive.digest(), 0.5, scale, corrections)
}

#[test]
fn an_adapter_changes_what_is_near_and_nothing_else() {
    let plain = model();
    let adapted = model().with_adapter(adapter(&archive(), 1.0));
    let patterns_only = model().with_adapter(adapter(&archive(), 0.0));
    let texts = ["disk full", "connection refused", "disk full disk", "", "after <num> tries error: to <ip>"];
    let (before, after) = (assess(&plain, &texts), assess(&adapted, &texts));
    assert_eq!((after[0].label().get(), after[1].label().get()), (9, 1));
    assert_eq!(before[3], after[3]);
    assert_eq!(after[0].tags, before[0].tags);
    for answer in &after {
        assert!((answer.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let exact = assess(&patterns_only, &texts);
    assert_eq!((exact[0].label().get(), &exact[2..]), (9, &before[2..]));
    // One at a time as all together.
    for (text, expected) in texts.iter().zip(&after) {
        assert_eq!(assess(&adapted, &[text]), [*expected]);
    }
}

#[test]
fn the_version_names_the_adapter() {
    let version = |adapter| model().with_adapter(adapter).version().to_owned();
    let one = version(adapter(&archive(), 1.0));
    assert!(one.starts_with("random+") && one.len() == "random+".len() + 8, "{one}");
    assert_ne!(one, version(adapter(&archive(), 0.5)));
}

#[test]
fn an_adapter_of_another_model_is_refused_by_name() {
    let mut other = archive();
    other.description.figures = serde_json::json!({"mae": 1.0});
    assert!(adapter(&archive(), 1.0).check(&other).is_ok(), "figures decide no answer");
    other.weights.layers[0].query.weight[0] += 1.0;
    other.description.version = "next".to_owned();
    let error = adapter(&archive(), 1.0).check(&other).unwrap_err().to_string();
    assert!(error.contains("belongs to model random (") && error.contains("not to next ("), "{error}");
}
