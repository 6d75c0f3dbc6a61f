use super::*;

fn dataset() -> Dataset {
    Dataset::open(Recipe { epoch_examples: 2_000, ..Recipe::default() }).unwrap()
}

#[test]
fn an_epoch_is_decided_by_seed_and_number() {
    let dataset = dataset();
    let first = dataset.draw_epoch(0, 42);
    assert_eq!(first, dataset.draw_epoch(0, 42));
    assert_ne!(first, dataset.draw_epoch(1, 42));
    assert!((1_900..2_100).contains(&first.len()), "{}", first.len());
    for example in &first {
        assert!((example.target.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{example:?}");
        assert!(!example.text.trim().is_empty());
    }
}

#[test]
fn held_out_families_are_never_trained_on() {
    let dataset = dataset();
    assert!(dataset.held_out.len() > 10, "{:?}", dataset.held_out);
    assert!(dataset.validation.len() > 600, "{}", dataset.validation.len());
    for template in &dataset.templates {
        assert!(dataset.held_out.binary_search(&holdout::family(&template.software)).is_err());
    }
    let whole = Dataset::open(Recipe { held_out: 0.0, ..Recipe::default() }).unwrap();
    assert!(whole.validation().is_empty());
    assert_eq!(whole.sizes().templates, dataset.sizes().templates + dataset.validation.len() / 2);
}

#[test]
fn state_pairs_stand_together() {
    let templates = embedded_templates().unwrap();
    let begins = units(&templates);
    let pairs = begins.iter().filter(|&&index| templates[index].kind == Kind::StatePair);
    assert!(pairs.clone().count() >= 512);
    for &index in pairs {
        // The safe line comes first.
        assert!(templates[index].risk <= templates[index + 1].risk, "{}", templates[index].text);
        assert_eq!(templates[index].software, templates[index + 1].software, "{}", templates[index].text);
    }
}

#[test]
fn labelled_lines_alone_are_enough() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "text,label\nERROR disk failed,8\nINFO all well,2\n").unwrap();
    let recipe = Recipe {
        built_in_templates: false,
        labelled: vec![file.path().to_owned()],
        epoch_examples: 10,
        held_out: 0.0,
        ..Recipe::default()
    };
    let examples = Dataset::open(recipe).unwrap().draw_epoch(3, 42);
    assert_eq!(examples.len(), 10);
    assert_eq!(examples.iter().filter(|example| example.target[8] > 0.5).count(), 5);
}

/// A catalogue that is written but not built in would teach nothing, and nobody would notice.
#[test]
fn every_catalogue_is_built_in() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            template::CATALOGUES.iter().any(|(built_in, _)| *built_in == name),
            "{name} is not in CATALOGUES"
        );
    }
}

#[test]
fn a_recipe_without_data_is_refused() {
    let recipe = Recipe { built_in_templates: false, ..Recipe::default() };
    assert!(Dataset::open(recipe).unwrap_err().to_string().contains("names no data"));
}

/// Run with `LOGRISK_DATA=folder cargo test -p logrisk-train look -- --ignored --nocapture`.
#[test]
#[ignore = "for a person to look at, on data that is not in the repository"]
fn look() {
    let folder = std::path::PathBuf::from(std::env::var_os("LOGRISK_DATA").unwrap());
    let recipe = Recipe {
        weak_pairs: vec![folder.join("severity-pairs-train.jsonl")],
        read_labels: vec![folder.join("risk-labels.jsonl")],
        ..Recipe::default()
    };
    let begin = std::time::Instant::now();
    let dataset = Dataset::open(recipe).unwrap();
    println!("open {:?} {:?} {:?}", begin.elapsed(), dataset.sizes(), dataset.held_out());
    let begin = std::time::Instant::now();
    let epoch = dataset.draw_epoch(0, 42);
    println!("epoch of {} in {:?}", epoch.len(), begin.elapsed());
    for example in epoch.iter().take(150) {
        println!("{:.1} {:?} {:?}", target::mean(&example.target), example.tag, example.text);
    }
    let mut sum = [0.0; 11];
    for example in &epoch {
        sum.iter_mut().zip(example.target).for_each(|(sum, share)| *sum += share / epoch.len() as f32);
    }
    println!("{sum:.3?}");
}

/// What tells a state from its riskier twin must survive the masks, or the model is asked to guess.
#[test]
fn state_pairs_stay_apart_after_masking() {
    let templates = embedded_templates().unwrap();
    let mut canonical = Canonical::new();
    let mut text = |template: &Template| {
        let mut message = String::new();
        template.fill_into(&mut Random::new(11), &mut message);
        canonical.text(&message)
    };
    let mut pairs = 0;
    let mut lost = Vec::new();
    for index in units(&templates) {
        if let [safe, risky, ..] = &templates[index..]
            && safe.kind == Kind::StatePair
        {
            pairs += 1;
            let (safe_text, risky_text) = (text(safe), text(risky));
            if safe_text == risky_text && risky.risk.get() - safe.risk.get() >= 2 {
                lost.push(format!("{} | {} | {safe_text}", safe.text, risky.text));
            }
        }
    }
    assert!(lost.len() * 20 < pairs, "{} of {pairs} pairs are lost:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn readings_turn_weak_pairs_into_read_labels() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let pairs = write(
        "pairs.jsonl",
        "{\"text\":\"disk # failed\",\"y\":1,\"source\":\"a\"}\n{\"text\":\"all well\",\"y\":1,\"source\":\"a\"}\n",
    );
    let readings =
        write("readings.csv", &format!("fingerprint,risk,or\n{},8,7\n", fingerprint("disk # failed")));
    let recipe = Recipe {
        weak_pairs: vec![pairs],
        readings: vec![readings],
        built_in_templates: false,
        held_out: 0.0,
        ..Recipe::default()
    };
    let dataset = Dataset::open(recipe.clone()).unwrap();
    assert_eq!((dataset.sizes().weak_pairs, dataset.sizes().read_labels), (1, 1));
    assert_eq!(dataset.read_labels[0].risk.get(), 8);

    let strange = write("strange.csv", "fingerprint,risk,or\n0000000000000000,8,\n");
    let error = Dataset::open(Recipe { readings: vec![strange], ..recipe.clone() }).unwrap_err().to_string();
    assert!(error.contains("weak_pairs"), "{error}");
    let wrong = write("wrong.csv", "fingerprint,risk,or\n0000000000000000,8,\n0000000000000001,11,\n");
    let error = Dataset::open(Recipe { readings: vec![wrong], ..recipe }).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
}

#[test]
fn a_recipe_judges_by_what_it_keeps_aside() {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), "seed: 42\n").unwrap();
    let truths = read_truths(file.path()).unwrap();
    let dataset = dataset();
    assert_eq!(2 * truths.len(), dataset.validation.len());
    let mut pairs = 0;
    for truth in &truths {
        let family = holdout::family(truth.software.as_deref().unwrap());
        assert!(dataset.held_out.binary_search(&family).is_ok(), "{truth:?}");
        assert!(!truth.text.contains("{int}") && truth.kind.as_deref() == Some("template"), "{truth:?}");
        if let Some(safer) = truth.safer_twin {
            assert!(truths[safer].risk < truth.risk && truths[safer].software == truth.software);
            pairs += 1;
        }
    }
    assert!(pairs > 50, "{pairs}");
}
