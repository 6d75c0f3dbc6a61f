use super::*;
use logrisk_score::{
    adapter::nearness,
    archive::{Archive, Description},
    encoder::{Isa, Precision},
    tokenize::{Normalizer, VocabularyTrainer},
    weights::{Activation, Shape, Weights},
};

/// An untrained model: whatever it says, a site can disagree with.
fn model() -> Model {
    let mut trainer = VocabularyTrainer::new(Normalizer::default(), &["<num>"]);
    trainer.add(
        "error: replica lag of shop orders is <num> on payments, cleared by sweeper; batch printed twice",
        5,
    );
    let tokenizer = trainer.finish(300).unwrap();
    let shape = Shape {
        vocabulary: tokenizer.len(),
        hidden: 32,
        layers: 2,
        heads: 2,
        intermediate: 64,
        positions: 64,
        norm_epsilon: 1e-12,
        activation: Activation::Gelu,
    };
    let mut weights = Weights::random(shape, 3);
    for tensor in weights.tensors_mut() {
        if !tensor.name.contains("LayerNorm") {
            tensor.values.iter_mut().for_each(|value| *value *= 5.0);
        }
    }
    let description = Description { version: "untrained".to_owned(), ..Description::default() };
    Model::load(Archive { weights, tokenizer, description, known: None }, Precision::F32, Isa::detect())
        .unwrap()
}

/// Two kinds of lines, each with its risk.
fn corrections(count: usize) -> Vec<Corrected> {
    (0..count)
        .map(|index| {
            let word = ["orders", "payments", "shop", "sweeper", "batch", "twice"][index / 2 % 6];
            let tail = "again ".repeat(index / 12);
            let (pattern, risk) = match index % 2 {
                0 => (format!("replica lag of {word} is <num> {tail}"), 9),
                _ => (format!("printed {word} cleared by sweeper {tail}"), 1),
            };
            Corrected { pattern, risk: Risk::new(risk).unwrap(), weight: 1.0 }
        })
        .collect()
}

#[test]
fn corrections_carry_over_to_like_patterns_and_the_base_set_is_spared() {
    let model = model();
    let (_, free) = adapt(&model, String::new(), &corrections(24), 10.0).unwrap();
    assert!(free.mae.after < 0.6 * free.mae.before, "{free:?}");
    let (adapter, bound) = adapt(&model, String::new(), &corrections(24), 0.01).unwrap();
    assert!(bound.base_mae.after - bound.base_mae.before <= 0.0101, "{bound:?}");
    assert!(bound.base_lines > 500 && adapter.scale <= 1.0, "{bound:?}");

    // What the report says of the base set is what the adapted model does.
    let adapted = self::model().with_adapter(adapter);
    let base = BaseSet::new(&adapted, &[]);
    let error = mean_error(&base.expected, &base.truths);
    assert!((error - bound.base_mae.after).abs() < 1e-3, "{error} {bound:?}");
}

/// The closed form against the thing itself: fitting again without the pattern.
#[test]
fn leaving_out_in_closed_form_is_leaving_out() {
    let model = model();
    let all = corrections(12);
    let fit = |corrections: &[Corrected]| {
        let patterns: Vec<&str> = corrections.iter().map(|each| each.pattern.as_str()).collect();
        let (points, expected) = look(&model, &patterns);
        let truths: Vec<f32> = corrections.iter().map(|each| f32::from(each.risk.get())).collect();
        let base = BaseSet::new(&model, &[]);
        let site = Site { corrections, points: &points, expected: &expected, truths: &truths };
        (candidates(&site, &base, 1e9), points, expected)
    };
    let (whole, points, expected) = fit(&all);
    let (without, rest, _) = fit(&all[1..]);
    for (whole, without) in whole.iter().zip(&without) {
        let pull: f64 = rest
            .iter()
            .zip(&without.weights)
            .map(|(point, weight)| {
                let (distance, words) = (points[0].squared_distance(point), points[0].common_words(point));
                weight * f64::from(nearness(distance, words, without.length))
            })
            .sum();
        assert!((whole.left_out[0] - changed(expected[0], pull as f32)).abs() < 1e-3);
        for (other, each) in all.iter().enumerate().skip(1) {
            let error = (without.left_out[other - 1] - f32::from(each.risk.get())).abs();
            assert!((whole.without_two[other] - error).abs() < 1e-3, "{other}");
        }
    }
}

#[test]
fn what_cannot_be_learnt_is_said() {
    let model = model();
    let none = adapt(&model, String::new(), &[], 0.02).unwrap_err().to_string();
    assert!(none.contains("no correction"), "{none}");
    assert!(
        adapt(&model, String::new(), &corrections(1_001), 0.02)
            .unwrap_err()
            .to_string()
            .contains("logrisk train")
    );
    assert!(adapt(&model, String::new(), &corrections(4), f32::NAN).is_err());
    let (adapter, report) = adapt(&model, String::new(), &corrections(4), 0.02).unwrap();
    assert_eq!((adapter.scale, report.base_touched), (0.0, 0));
    assert_eq!(report.mae.before, report.mae.after);
}
