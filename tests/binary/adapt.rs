//! A site's corrections, from labels to scores; and which models there are.

use std::fs;

use crate::common::{repository, run};

/// What this site thinks of some lines.
const SITE: &str = "text,label
INFO scheduler: tenant 4711 moved to cold storage,8
INFO scheduler: tenant 17 moved to warm storage,7
INFO scheduler: tenant 5 moved to frozen storage,8
INFO scheduler: tenant 99 moved to archive storage,8
INFO scheduler: tenant 8 moved to glacier storage,9
ERROR printer on floor 3 is out of paper,1
ERROR printer on floor 9 is out of toner,1
ERROR printer on floor 2 is out of staples,2
ERROR printer on floor 1 is out of ink,1
WARN printer on floor 4 is jammed,1
";

fn scores(arguments: &[&str], lines: &str) -> Vec<serde_json::Value> {
    let mut all = vec!["score", "--format", "json", "--no-join"];
    all.extend(arguments);
    let outcome = run(&all, lines);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome.json()
}

#[test]
fn corrections_are_learnt_kept_apart_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (site, adapter) = (at("site.csv"), at("site.adapter"));
    fs::write(&site, SITE).unwrap();
    let report = run(&["adapt", "--labels", &site, "--out", &adapter, "--format", "json"], "");
    assert_eq!(report.code, 0, "{}", report.stderr);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let figure = |name: &str, when: &str| report["figures"][name][when].as_f64().unwrap();
    assert_eq!(report["rows"], 10);
    assert!(figure("mae", "after") < figure("mae", "before"), "{report}");
    assert!(figure("base_mae", "after") <= figure("base_mae", "before") + 0.0201, "{report}");
    assert!(fs::metadata(&adapter).unwrap().len() < 20_000);

    let lines = "INFO scheduler: tenant 1234 moved to cold storage\nERROR printer on floor 7 is out of ink\n\
                 kernel: EXT4-fs error (device sda1): unable to read superblock\n";
    let (plain, adapted) = (scores(&[], lines), scores(&["--adapter", &adapter], lines));
    let label = |value: &serde_json::Value| value["risk_label"].as_u64().unwrap();
    assert_eq!((label(&adapted[0]), label(&adapted[1])), (8, 1), "the pattern itself");
    assert_eq!(plain[2]["risk_score"], adapted[2]["risk_score"], "far away");
    let (before, after) =
        (plain[0]["model_version"].as_str().unwrap(), adapted[0]["model_version"].as_str().unwrap());
    assert_eq!(after, format!("{before}+{}", report["adapter"].as_str().unwrap()));

    // The commands that score all take it, and the environment names it too.
    let data = at("data.csv");
    fs::write(&data, SITE).unwrap();
    let evaluated = run(
        &["evaluate", "--data", &data, "--adapter", &adapter, "--format", "json", "--bootstrap", "0"],
        "",
    );
    assert!(evaluated.stdout.contains(after), "{}{}", evaluated.stdout, evaluated.stderr);
    let model = repository("models/default");
    let mut arguments = vec!["predict", "-m", &model, "-t", &model, "--preprocess", "--format", "simple"];
    arguments.extend(["-i", "ERROR printer on floor 7 is out of ink", "--adapter", &adapter]);
    assert!(run(&arguments, "").stdout.starts_with("[1]"));
}

#[test]
fn an_adapter_is_refused_by_name_where_it_does_not_belong() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (site, adapter, model) = (at("site.csv"), at("site.adapter"), at("small"));
    fs::write(&site, SITE).unwrap();
    let mut arguments = vec!["train", "--data", &site, "--output", &model, "--shape", "1x64"];
    arguments.extend(["--vocabulary", "300", "--threads", "1", "--max-steps", "2"]);
    assert_eq!(run(&arguments, "").code, 0);
    // Any archive can have one.
    let made = run(&["adapt", "--labels", &site, "--model", &model, "--out", &adapter], "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains("on a pattern that was left out"), "{}", made.stdout);
    assert_eq!(run(&["score", "--model", &model, "--adapter", &adapter], "INFO a\n").code, 0);

    let other = run(&["score", "--adapter", &adapter], "INFO a\n");
    assert_eq!(other.code, 1);
    assert!(
        other.stderr.contains("belongs to model trained-") && other.stderr.contains("site.adapter"),
        "{}",
        other.stderr
    );
    let broken = run(&["score", "--adapter", &site], "INFO a\n");
    assert!(broken.stderr.contains("site.csv is no adapter"), "{}", broken.stderr);

    fs::write(&site, "text,label\na,12\n").unwrap();
    let wrong = run(&["adapt", "--labels", &site, "--out", &at("new.adapter")], "");
    assert!(wrong.code == 1 && wrong.stderr.contains("line 2, column label"), "{}", wrong.stderr);
    assert!(!folder.path().join("new.adapter").exists());
    fs::write(&site, "text,label\ntook 1 ms,2\ntook 2 ms,9\n").unwrap();
    let conflict =
        run(&["adapt", "--labels", &site, "--out", &at("new.adapter"), "--conflicts", "error"], "");
    assert!(conflict.stderr.contains("lines 2 and 3"), "{}", conflict.stderr);
}

#[test]
fn built_in_models_are_listed_and_named() {
    let list = run(&["model", "list"], "").stdout;
    for part in
        ["default  (used if none is named)", "4 layers x 384, 12 heads, 8,220 tokens", "MB on disk", "mae"]
    {
        assert!(list.contains(part), "no {part:?} in {list}");
    }
    let folder = repository("models/default");
    let models = run(&["model", "list", "--format", "json", &folder], "").stdout;
    let models: Vec<serde_json::Value> = serde_json::from_str(&models).unwrap();
    let (first, last) = (&models[0], &models[models.len() - 1]);
    assert_eq!((first["name"].as_str(), first["default"].as_bool()), (Some("default"), Some(true)));
    assert_eq!(
        (last["version"].as_str(), last["default"].as_bool()),
        (first["version"].as_str(), Some(false))
    );
    assert!(first["parameters"].as_u64().unwrap() > 10_000_000);

    assert_eq!(scores(&["--model", "default"], "INFO a\n"), scores(&[], "INFO a\n"));
    let unknown = run(&["score", "--model", "defualt"], "");
    assert!(unknown.stderr.contains("neither a built-in model (default"), "{}", unknown.stderr);
}
