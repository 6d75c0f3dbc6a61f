//! Round trips, and every way in which an archive can be wrong.

use std::{fs, path::PathBuf};

use logrisk_base::MaskStyle;
use serde_json::{Value, json};
use tempfile::TempDir;

use logrisk_base::Risk;

use super::*;
use crate::{
    calibration::Calibration,
    weights::{Activation, Shape},
};

const VOCABULARY: &str = include_str!("../tokenize/tests/vocab.txt");

fn archive() -> Archive {
    let tokenizer = Tokenizer::from_vocabulary_file(VOCABULARY, None).unwrap();
    let shape = Shape {
        vocabulary: tokenizer.len(),
        hidden: 8,
        layers: 1,
        heads: 2,
        intermediate: 16,
        positions: 16,
        norm_epsilon: 1e-12,
        activation: Activation::Gelu,
    };
    let description = Description {
        version: "2024-05-06".to_owned(),
        created: "2024-05-06T07:08:09Z".to_owned(),
        mask: MaskStyle::Seed,
        label_rule: LabelRule::MostLikely,
        calibration: Some(Calibration { temperature: 1.5, ..Calibration::default() }),
        training: json!({"epochs": 3}),
        data: json!(["authored"]),
        figures: json!({"mae": 1.25}),
    };
    let known = KnownPatterns::new(&[("disk full".to_owned(), Risk::MAX)]);
    Archive { weights: Weights::random(shape, 1), tokenizer, description, known: Some(known) }
}

fn written() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    archive().write_folder(&folder, Storage::F32).unwrap();
    (place, folder)
}

#[track_caller]
fn check_same(opened: &Archive) {
    let expected = archive();
    assert_eq!(opened.weights, expected.weights);
    assert_eq!(opened.description, expected.description);
    assert_eq!(opened.known, expected.known);
    assert_eq!(opened.tokenizer.to_json(), expected.tokenizer.to_json());
}

/// Nothing but the archive itself is left behind.
#[track_caller]
fn check_tidy(place: &TempDir, expected: &[&str]) {
    let mut names: Vec<String> =
        fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, expected);
}

#[test]
fn a_folder_is_opened_as_it_was_written_and_replaced_by_the_next() {
    let (place, folder) = written();
    check_same(&Archive::open(&folder).unwrap());
    let mut next = archive();
    next.description.version = "next".to_owned();
    next.write_folder(&folder, Storage::F16).unwrap();
    let manifest = Archive::verify(&folder).unwrap();
    assert_eq!(manifest.description.version, "next");
    assert_eq!(
        manifest.files["model.safetensors"].size,
        fs::metadata(folder.join("model.safetensors")).unwrap().len()
    );
    check_tidy(&place, &["model"]);
}

#[test]
fn an_archive_from_before_calibration_is_opened() {
    let (_place, folder) = written();
    fs::remove_file(folder.join("known.tsv")).unwrap();
    change_manifest(&folder, |m| {
        m.as_object_mut().unwrap().remove("calibration");
        m["files"].as_object_mut().unwrap().remove("known.tsv");
    });
    let opened = Archive::open(&folder).unwrap();
    assert_eq!((opened.known, opened.description.calibration), (None, None));
}

#[test]
fn a_tar_is_opened_from_disk_and_from_memory_and_is_always_the_same() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.tar.zst");
    archive().write_tar_zst(&path, Storage::F32).unwrap();
    check_same(&Archive::open(&path).unwrap());
    let bytes = fs::read(&path).unwrap();
    check_same(&Archive::open_bytes(&bytes).unwrap());
    archive().write_tar_zst(&path, Storage::F32).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    check_tidy(&place, &["model.tar.zst"]);
}

#[test]
fn a_folder_that_is_no_archive_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("thesis.txt"), "years of work").unwrap();
    let error = archive().write_folder(place.path(), Storage::F16).unwrap_err();
    assert!(error.to_string().ends_with("exists and is no model archive; name another one or remove it"));
    check_tidy(&place, &["thesis.txt"]);
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    archive().write_folder(&empty, Storage::F16).unwrap();
    Archive::open(&empty).unwrap();
}

#[test]
fn a_failed_write_leaves_the_old_archive_and_nothing_else() {
    let (place, folder) = written();
    let mut broken = archive();
    broken.weights.layers[0].query.bias[0] = f32::NAN;
    let error = broken.write_folder(&folder, Storage::F32).unwrap_err().to_string();
    assert!(error.contains("query.bias holds NaN"), "{error}");
    check_same(&Archive::open(&folder).unwrap());
    // The target is a folder with files, which no file can be renamed over.
    let error = archive().write_tar_zst(&folder, Storage::F32).unwrap_err().to_string();
    assert!(error.starts_with("could not write"), "{error}");
    check_same(&Archive::open(&folder).unwrap());
    check_tidy(&place, &["model"]);
    let nowhere = place.path().join("missing").join("model");
    assert!(matches!(archive().write_folder(&nowhere, Storage::F16), Err(ArchiveError::Io { .. })));
    assert!(matches!(archive().write_tar_zst(&nowhere, Storage::F16), Err(ArchiveError::Io { .. })));
}

#[test]
fn a_model_whose_parts_do_not_fit_is_neither_written_nor_opened() {
    let mut archive = archive();
    archive.tokenizer = Tokenizer::from_vocabulary_file("[UNK]\n[CLS]\n[SEP]\n", None).unwrap();
    let place = tempfile::tempdir().unwrap();
    let error = archive.write_folder(&place.path().join("model"), Storage::F16).unwrap_err().to_string();
    assert!(
        error.contains("the tokenizer has 3 tokens, but the weights have 258 word embeddings"),
        "{error}"
    );
}

#[track_caller]
fn refuse_folder(damage: impl FnOnce(&Path), expected: &str) {
    let (_place, folder) = written();
    damage(&folder);
    let error = Archive::open(&folder).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("model "), "which one: {error}");
}

fn change_manifest(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

/// Puts other contents in place, and makes the manifest agree.
fn replace(folder: &Path, member: &str, contents: &[u8]) {
    use sha2::Digest;
    fs::write(folder.join(member), contents).unwrap();
    let digest = read::hexadecimal(&sha2::Sha256::digest(contents));
    change_manifest(folder, |m| m["files"][member] = json!({"size": contents.len(), "sha256": digest}));
}

#[test]
fn a_damaged_folder_is_refused_by_name() {
    for member in ["model.safetensors", "config.json", "tokenizer.json", "known.tsv"] {
        refuse_folder(
            |folder| fs::remove_file(folder.join(member)).unwrap(),
            &format!("has no {member}; did the training"),
        );
        refuse_folder(
            |folder| {
                let mut bytes = fs::read(folder.join(member)).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(folder.join(member), bytes).unwrap();
            },
            &format!("{member} was changed after the manifest was written"),
        );
        refuse_folder(
            |folder| {
                let bytes = fs::read(folder.join(member)).unwrap();
                fs::write(folder.join(member), &bytes[..bytes.len() - 1]).unwrap();
            },
            &format!("{member} has "),
        );
        let unlist = |folder: &Path| {
            change_manifest(folder, |m| drop(m["files"].as_object_mut().unwrap().remove(member)));
        };
        refuse_folder(unlist, &format!("manifest.json does not list {member}"));
    }
    refuse_folder(|folder| fs::remove_file(folder.join("manifest.json")).unwrap(), "has no manifest.json");
    refuse_folder(
        |folder| fs::write(folder.join("manifest.json"), "{").unwrap(),
        "manifest.json cannot be read",
    );
    refuse_folder(|folder| change_manifest(folder, |m| m["format"] = 2.into()), "has the format 2, but this");
    refuse_folder(|folder| replace(folder, "config.json", b"\xff"), "config.json is not UTF-8");
    refuse_folder(
        |folder| replace(folder, "config.json", b"{}"),
        "config.json cannot be read (missing field",
    );
    refuse_folder(|folder| replace(folder, "tokenizer.json", b"[]"), "tokenizer.json cannot be read");
    refuse_folder(|folder| replace(folder, "model.safetensors", b"12345678"), "has only 8 bytes");
    refuse_folder(
        |folder| replace(folder, "known.tsv", b"12345678"),
        "known.tsv has no `RISK<tab>TEXT` in line 1",
    );
    let calibration = |key: &'static str, value: Value| {
        move |folder: &Path| change_manifest(folder, |m| m["calibration"][key] = value)
    };
    refuse_folder(calibration("temperature", Value::Null), "calibration has a temperature that is no number");
    refuse_folder(calibration("bias", json!([1.0, 2.0])), "calibration has 2 biases, not 11");
    refuse_folder(
        |folder| {
            let small = Tokenizer::from_vocabulary_file("[UNK]\n[CLS]\n[SEP]\n", None).unwrap();
            replace(folder, "tokenizer.json", small.to_json().as_bytes());
        },
        "they are of two different models",
    );
    refuse_folder(
        |folder| {
            let file = fs::File::create(folder.join("config.json")).unwrap();
            file.set_len((1 << 20) + 1).unwrap();
        },
        "config.json is larger than 1048576 bytes",
    );
    refuse_folder(
        |folder| fs::remove_dir_all(folder).unwrap(),
        "does not exist; name a folder or a .tar.zst",
    );
}

fn compress(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 1).unwrap()
}

/// A tar with the members of a good archive, changed by `change` before they are written.
fn tar_of(change: impl FnOnce(&mut Vec<(String, tar::EntryType, Vec<u8>)>)) -> Vec<u8> {
    let (_place, folder) = written();
    let mut members: Vec<_> = member::LIMITS
        .iter()
        .map(|(name, _)| ((*name).to_owned(), tar::EntryType::Regular, fs::read(folder.join(name)).unwrap()))
        .collect();
    change(&mut members);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        let mut header = tar::Header::new_ustar();
        // Set by hand, since the builder itself refuses `..`.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

#[track_caller]
fn refuse_tar(bytes: &[u8], expected: &str) {
    let error = Archive::open_bytes(bytes).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn members_that_no_archive_has_are_refused() {
    check_same(&Archive::open_bytes(&compress(&tar_of(|_| {}))).unwrap());
    let renamed = |name: &'static str| compress(&tar_of(move |members| members[0].0 = name.to_owned()));
    for name in ["../model.safetensors", "/model.safetensors", "other/model.safetensors", "evil.sh"] {
        refuse_tar(&renamed(name), &format!("{name:?}, which is not a part of a model archive"));
    }
    check_same(&Archive::open_bytes(&renamed("./model.safetensors")).unwrap());
    for kind in
        [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory, tar::EntryType::Fifo]
    {
        refuse_tar(
            &compress(&tar_of(|members| {
                members[0].1 = kind;
                members[0].2.clear();
            })),
            "which is a link, a folder or a device",
        );
    }
    refuse_tar(&compress(&tar_of(|members| members.push(members[1].clone()))), "which is there already");
    refuse_tar(&compress(&tar_of(|members| drop(members.remove(2)))), "has no tokenizer.json");
    refuse_tar(
        &compress(&tar_of(|members| members[1].2 = vec![b' '; (1 << 20) + 1])),
        "is larger than 1048576 bytes",
    );
}

#[test]
fn a_torn_or_foreign_file_is_refused() {
    let good = compress(&tar_of(|_| {}));
    for cut in [0, 1, 10, good.len() / 2, good.len() - 1] {
        let error = Archive::open_bytes(&good[..cut]).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Broken { .. } | ArchiveError::MissingFile { .. }),
            "{cut}: {error}"
        );
        assert!(cut == 0 || matches!(error, ArchiveError::Broken { .. }), "{cut}: {error}");
    }
    refuse_tar(b"PK\x03\x04 a zip", "is broken or truncated");
    refuse_tar(&compress(b"text"), "is broken or truncated");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    assert!(Archive::open_bytes(&flipped).is_err());
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let bomb = compress(&tar_of(|members| members[0].2 = vec![0; 64 << 20]));
    assert!(bomb.len() < 1 << 20);
    refuse_tar(&bomb, "unpacks to more than");
    // A header that claims 1 GiB must not be believed either.
    let mut tar = tar_of(|_| {});
    let mut header = tar::Header::new_ustar();
    header.set_path("model.safetensors").unwrap();
    header.set_size(1 << 30);
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    refuse_tar(&compress(&tar), "is broken or truncated");
}

/// What Hugging Face's libraries leave: no manifest.
fn checkpoint() -> (TempDir, PathBuf) {
    let (place, folder) = written();
    fs::remove_file(folder.join("manifest.json")).unwrap();
    (place, folder)
}

#[test]
fn a_checkpoint_without_a_manifest_is_opened_when_asked() {
    let (_place, folder) = checkpoint();
    let first = Archive::open_checkpoint(&folder).unwrap();
    assert_eq!(first.weights, archive().weights);
    assert!(first.description.version.starts_with("checkpoint-"));
    assert_eq!(first.description.version, Archive::open_checkpoint(&folder).unwrap().description.version);

    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    fs::write(folder.join("vocab.txt"), VOCABULARY).unwrap();
    let second = Archive::open_checkpoint(&folder).unwrap();
    assert_eq!(second.tokenizer.to_json(), first.tokenizer.to_json());
    fs::write(folder.join("tokenizer_config.json"), r#"{"do_lower_case": false}"#).unwrap();
    let third = Archive::open_checkpoint(&folder).unwrap();
    assert_ne!(third.tokenizer.to_json(), first.tokenizer.to_json());
    assert_ne!(third.description.version, second.description.version);
}

#[track_caller]
fn refuse_checkpoint(damage: impl FnOnce(&Path), expected: &str) {
    let (_place, folder) = checkpoint();
    damage(&folder);
    let error = Archive::open_checkpoint(&folder).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn an_incomplete_checkpoint_is_refused_with_the_remedy() {
    let remove = |name: &'static str| move |folder: &Path| fs::remove_file(folder.join(name)).unwrap();
    refuse_checkpoint(remove("tokenizer.json"), "no vocab.txt either");
    refuse_checkpoint(remove("config.json"), "has no config.json");
    refuse_checkpoint(
        remove("model.safetensors"),
        "has no model.safetensors; is it a Hugging Face checkpoint?",
    );
    refuse_checkpoint(
        |folder| fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).unwrap(),
        "from transformers import AutoModel; AutoModel.from_pretrained(",
    );
    refuse_checkpoint(|folder| fs::remove_dir_all(folder).unwrap(), "does not exist");
}
