//! The model as a whole, on random weights: order, batches, and what is refused.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use logrisk_base::Tag;
use logrisk_score::{
    archive::{Archive, Description, LabelRule},
    encoder::{Isa, Precision},
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
    Archive { weights, tokenizer, description }
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
fn a_bare_encoder_is_refused() {
    let mut archive = archive();
    archive.weights.head = None;
    let error = Model::load(archive, Precision::Int8, Isa::detect()).unwrap_err().to_string();
    assert_eq!(
        error,
        "model random is a bare encoder without a risk head; fine-tune it with `logrisk train` first"
    );
}
