//! What a kill, a restart and a change of models leave behind.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::json;

use crate::{
    common::{command, repository},
    server::Server,
};

#[test]
fn a_kill_loses_no_correction_and_no_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let log = "ERROR replica 3 of shard 7 is gone";
    {
        let mut server = Server::start(&["--data-dir", data]);
        for number in 0..40 {
            server.ingest(&format!(
                "ERROR {} failed for good\n",
                ["disk", "fan", "link"][number % 3].repeat(number + 1)
            ));
        }
        server.ingest(&format!("{log}\n"));
        assert_eq!(server.post("/feedback", &json!({"log": log, "risk_label": 2})).status, 201);
        server.signal("KILL");
        assert_eq!(server.wait(), None);
    }
    let server = Server::start(&["--data-dir", data]);
    assert_eq!(server.get("/patterns").json()["total"], 41);
    assert_eq!(server.get("/patterns?state=new").json()["total"], 0, "what was seen before is not new");
    assert_eq!(server.get("/feedback").json()["active"], 1);
    let answer = server.post("/predict", &json!({"log": log})).json();
    assert_eq!((&answer["risk_label"], &answer["label_source"]), (&json!(2), &json!("human")));

    let second = command(&["serve", "--port", "0", "--data-dir", data]).output().unwrap();
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr.contains(&format!("process {}", server.child.id())) && stderr.contains(data), "{stderr}");
}

#[test]
fn counts_are_on_disk_after_an_end_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    server.ingest(&"ERROR disk full\n".repeat(7));
    server.ingest("ERROR disk full\n");
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let server = Server::start(&["--data-dir", data]);
    assert_eq!(server.get("/patterns").json()["patterns"][0]["count"], 8);
}

#[test]
fn a_change_of_models_under_load_loses_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir(&models).unwrap();
    // The shipped model again, under another version.
    let other = models.join("other");
    std::fs::create_dir(&other).unwrap();
    for file in ["config.json", "tokenizer.json", "known.tsv", "model.safetensors", "manifest.json"] {
        let bytes = std::fs::read(repository(&format!("models/default/{file}"))).unwrap();
        if file == "manifest.json" {
            let mut manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            manifest["version"] = json!("other");
            std::fs::write(other.join(file), manifest.to_string()).unwrap();
        } else {
            std::fs::write(other.join(file), bytes).unwrap();
        }
    }
    let server = Server::start(&["--data-dir", folder.path().to_str().unwrap()]);
    let listed = server.get("/models").json();
    let built_in = listed["active"].as_str().unwrap().to_owned();
    assert_eq!(listed["models"].as_array().unwrap().len(), 2, "{listed}");

    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..3 {
            let (server, stop, sent) = (&server, &stop, &sent);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::SeqCst) {
                    number += 1;
                    let logs: Vec<String> = (0..8)
                        .map(|line| {
                            format!(
                                "ERROR unit {} broke {}",
                                "x".repeat(client + 1),
                                "y".repeat(number % 50 + line)
                            )
                        })
                        .collect();
                    let answer = server.post("/predict/batch", &json!({"logs": logs}));
                    assert_eq!(answer.status, 200, "{}", answer.text);
                    let results = answer.json();
                    let results = results["results"].as_array().unwrap();
                    assert_eq!(results.len(), 8);
                    let versions: Vec<_> = results.iter().map(|result| &result["model_version"]).collect();
                    assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "two models in one answer");
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let sent_at_least = |more: usize| {
            let goal = sent.load(Ordering::SeqCst) + more;
            server.wait_until("requests go on", || sent.load(Ordering::SeqCst) >= goal);
        };
        sent_at_least(3);
        for version in ["other", &built_in, "other"] {
            let change = server.send(&format!("/models/{version}/activate"), &[], b"");
            assert_eq!(change.status, 200, "{}", change.text);
            assert_eq!(change.json()["active"], *version);
            sent_at_least(3);
        }
        assert_eq!(server.send("/models/reload", &[], b"").status, 200);
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(server.send("/models/nowhere/activate", &[], b"").status, 404);
    assert_eq!(server.get("/models").json()["active"], built_in);
}

#[test]
fn the_model_last_activated_is_in_use_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["--data-dir", data]);
    let version = server.get("/version").json()["model_version"].clone();
    drop(server);
    let server = Server::start(&["--data-dir", data]);
    assert_eq!(server.get("/version").json()["model_version"], version);
}
