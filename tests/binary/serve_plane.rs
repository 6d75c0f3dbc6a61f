//! A data plane within `logrisk serve`, and how one is looked at without a server.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
};

use serde_json::json;

use crate::{
    common::command,
    run_plane::{PATIENCE, Plane, Site},
    server::Server,
};

fn append(path: &Path, lines: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(lines.as_bytes()).unwrap();
}

fn serve(site: &Site) -> Server {
    let (settings, data) = (site.path("logrisk.yaml"), site.path("store"));
    Server::start(&[
        "--config",
        settings.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
        "--model",
        "mini",
    ])
}

#[test]
fn what_sources_bring_is_on_the_page_and_corrections_reach_sinks() {
    let site = Site::new(
        "sources: {apps: {tail: {paths: ['{dir}/*.log']}}}\n\
         sinks: {out: {file: {path: '{dir}/out'}}, counts: {prometheus: {labels: {file: log.file.path}}}}\n",
    );
    let log = site.path("shop.log");
    append(&log, "ERROR payment 17 failed: card declined\n");
    let mut server = serve(&site);
    let first = site.wait_for("out", 1).into_values().next().unwrap();
    assert_eq!(first["label_source"], "model");
    let pattern = first["pattern_id"].as_str().unwrap();
    let seen = server.get(&format!("/patterns/{pattern}")).json();
    assert_eq!((&seen["count"], &seen["risk_label"]), (&json!(1), &first["risk_label"]));

    let risk = if first["risk_label"] == 3 { 4 } else { 3 };
    server.post("/feedback", &json!({"pattern_id": pattern, "risk_label": risk, "tag": "INFO"}));
    append(&log, "ERROR payment 18 failed: card declined\n");
    let documents = site.wait_for("out", 2);
    let second = documents.values().find(|one| one["label_source"] == "human").unwrap();
    assert_eq!(
        (&second["risk_label"], &second["tag"], &second["level"], &second["pattern_id"]),
        (
            &json!(risk),
            &json!("INFO"),
            &json!(if risk == 3 { "notice" } else { "warning" }),
            &first["pattern_id"]
        )
    );
    assert!(second.get("risk_interval").is_none(), "a person's risk has no interval: {second}");

    let metrics = server.get("/metrics").text;
    for line in [
        "logrisk_source_records_total{source=\"apps\"} 2",
        "logrisk_sink_records_total{sink=\"out\"} 2",
        "logrisk_sink_waiting_records{sink=\"out\"} 0",
        &format!("logrisk_records_total{{risk=\"{risk}\",tag=\"INFO\",file=\"{}\"}} 1", log.display()),
        "logrisk_ingested_lines_total 2",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} is not in {metrics}");
    }
    let health = server.get_with("/ui/health", &[("accept", "text/html")]).text;
    assert!(health.contains(">apps<") && health.contains(">out<"), "{health}");

    // A change of models reaches the data plane.
    let models = server.get("/models").json();
    let mut versions = models["models"].as_array().unwrap().iter().map(|model| &model["version"]);
    let other = versions.find(|version| **version != first["model_version"]).unwrap().as_str().unwrap();
    assert_eq!(server.post(&format!("/models/{other}/activate"), &json!({})).status, 200);
    append(&log, "ERROR payment 19 failed: card declined\n");
    let documents = site.wait_for("out", 3);
    assert_eq!(documents.values().filter(|one| one["model_version"] == other).count(), 1, "{documents:?}");

    // Checkpoints are kept beside the store: nothing is read twice, and nothing is left out.
    server.child.kill().unwrap();
    server.wait();
    append(&log, "ERROR payment 20 failed: card declined\n");
    let mut server = serve(&site);
    let documents = site.wait_for("out", 4);
    assert_eq!(documents.values().filter(|one| one["label_source"] == "human").count(), 3);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0), "{:?}", server.log_lines());
}

#[test]
fn a_page_alone_is_enough_of_a_sink() {
    let site = Site::new("sources: {apps: {tail: {paths: ['{dir}/*.log']}}}\n");
    append(&site.path("a.log"), "ERROR disk full on /dev/sda1\n");
    let server = serve(&site);
    server.wait_until("the line is a pattern", || server.get("/patterns").json()["total"] == 1);
    let refused = command(&["run", "-c", site.path("logrisk.yaml").to_str().unwrap()]).output().unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && message.contains("there are no sinks"), "{message}");
}

#[test]
fn a_source_that_cannot_start_ends_the_server() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let site =
        Site::new(&format!("sources: {{in: {{http: {{address: '{}'}}}}}}\n", taken.local_addr().unwrap()));
    let mut ended = Plane::start(
        command(&[
            "serve",
            "--port",
            "0",
            "--model",
            "mini",
            "--config",
            site.path("logrisk.yaml").to_str().unwrap(),
        ])
        .env("LOGRISK_DATA_DIR", site.path("store")),
    );
    ended.wait_for_log("is another server there?");
    assert_eq!(ended.wait(), Some(1));
}

#[test]
fn a_data_plane_without_a_server_answers_prometheus_and_kubernetes() {
    let site = Site::new(
        "sources: {apps: {tail: {paths: ['{dir}/*.log']}}}\n\
         sinks: {out: {file: {path: '{dir}/out'}}, counts: {prometheus: {}}}\n",
    );
    let refused = site.command().output().unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && message.contains("run.address"), "{message}");

    let settings = fs::read_to_string(site.path("logrisk.yaml")).unwrap();
    fs::write(site.path("logrisk.yaml"), settings + "  address: 127.0.0.1:0\n").unwrap();
    append(&site.path("a.log"), "ERROR disk full on /dev/sda1\nDEBUG ok\n");
    let mut plane = site.start();
    let line = plane.wait_for_log("metrics at http://");
    let address = line.split("http://").nth(1).unwrap().split("/metrics").next().unwrap().to_owned();
    site.wait_for("out", 2);
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for path in ["/livez", "/readyz"] {
        assert!(get(path).starts_with("HTTP/1.1 200"), "{path}");
    }
    let metrics = get("/metrics");
    assert!(metrics.contains("logrisk_sink_records_total{sink=\"out\"} 2"), "{metrics}");
    assert!(metrics.contains("logrisk_source_bytes_total{source=\"apps\"} 36"), "{metrics}");
    assert!(metrics.contains("logrisk_records_total{risk="), "{metrics}");
    // As OpenMetrics ends.
    assert!(metrics.trim_end().ends_with("# EOF"), "{metrics}");
    assert_eq!(plane.terminate(), Some(0));
    let checked =
        Command::new(env!("CARGO_BIN_EXE_logrisk")).arg("check").arg(site.path("logrisk.yaml")).output();
    assert!(checked.unwrap().status.success());
}

#[test]
fn nobody_waits_for_an_optional_sink() {
    // Nobody listens at port 1.
    let site = Site::new(
        "sources: {apps: {tail: {paths: ['{dir}/*.log']}}}\n\
         sinks: {out: {file: {path: '{dir}/out'}}, away: {elastic: {hosts: ['http://127.0.0.1:1']}}}\n",
    );
    let settings = fs::read_to_string(site.path("logrisk.yaml")).unwrap();
    let unknown = settings.clone() + "  optional_sinks: [away, astray]\n";
    fs::write(site.path("logrisk.yaml"), unknown).unwrap();
    let message = String::from_utf8(site.command().output().unwrap().stderr).unwrap();
    assert!(message.contains("there is no sink \"astray\""), "{message}");

    let settings = settings.replace("grace_secs: 30", "grace_secs: 1")
        + "  optional_sinks: [away]\n  address: 127.0.0.1:0\n";
    fs::write(site.path("logrisk.yaml"), settings).unwrap();
    let lines: String = (0..30_000).map(|number| format!("INFO request {number} done\n")).collect();
    append(&site.path("a.log"), &lines);
    let mut plane = site.start();
    plane.wait_for_log("too far behind");
    site.wait_for("out", 30_000);
    plane.terminate();
    // The checkpoint did not wait for it: nothing is read again.
    append(&site.path("a.log"), "INFO one more\n");
    let written = site.documents("out").len();
    let mut plane = site.start();
    site.wait_for("out", 30_001);
    assert_eq!(site.documents("out").len(), written + 1);
    plane.terminate();
}
