//! OpenTelemetry's Collector on both sides: before the `otlp` source, through kills, and behind the `otlp` sink.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use prost::Message as _;
use serde_json::json;

use crate::{
    common::{command, repository, run},
    otelcol::{Collector, free_port, validate},
    run_otlp::request,
    run_plane::{PATIENCE, Site},
    server::receive,
};

/// A Collector that takes OTLP over HTTP on this port and passes it on.
fn passing(port: u16, exporter: &str, settings: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}\n\
         exporters:\n  {exporter}:\n    tls: {{insecure: true}}\n    timeout: 5s\n    \
         retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms, max_elapsed_time: 0}}\n    \
         sending_queue: {{queue_size: 100000, num_consumers: 4}}\n    {settings}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  \
         pipelines: {{logs: {{receivers: [otlp], exporters: [{exporter}]}}}}\n"
    )
}

/// A Collector that takes OTLP and writes it out in words.
fn telling(grpc: u16, http: u16) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}, http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}\n\
         exporters: {{debug: {{verbosity: detailed}}}}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  \
         pipelines: {{logs: {{receivers: [otlp], exporters: [debug]}}, traces: {{receivers: [otlp], exporters: [debug]}}}}\n"
    )
}

fn send(port: u16, numbers: std::ops::Range<u64>) {
    let url = format!("http://127.0.0.1:{port}/v1/logs");
    let body = request(numbers).encode_to_vec();
    ureq::post(url).header("content-type", "application/x-protobuf").send(&body[..]).unwrap();
}

fn site(port: u16) -> Site {
    Site::new(&format!(
        "sources: {{in: {{otlp: {{grpc: '127.0.0.1:{port}'}}}}}}\nsinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n"
    ))
}

#[test]
fn what_a_collector_sends_arrives_once_through_kills() {
    let (ours, theirs) = (free_port(), free_port());
    let site = site(ours);
    let exporter = format!("endpoint: '127.0.0.1:{ours}'");
    let collector = Collector::start(&passing(theirs, "otlp_grpc", &exporter));
    let mut plane = site.start();
    plane.wait_for_log("listening on otlp+grpc");
    for step in 0..20 {
        for part in 0..10 {
            let number = (step * 10 + part) * 100;
            send(theirs, number..number + 100);
        }
        // At moments from before the next request to after it.
        thread::sleep(Duration::from_millis(step * 7));
        plane.signal("KILL");
        plane.wait();
        plane = site.start();
    }
    let found = site.wait_for("out", 20_000);
    let messages: BTreeSet<_> = found.values().map(|one| one["message"].as_str().unwrap()).collect();
    // As many ids as messages: what was sent again has its old id.
    assert_eq!((found.len(), messages.len()), (20_000, 20_000), "{}", collector.log());
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn a_collector_waits_while_the_sinks_are_away() {
    let (ours, theirs, search) = (free_port(), free_port(), free_port());
    let site = Site::new(&format!(
        "sources: {{in: {{otlp: {{http: '127.0.0.1:{ours}', timeout_secs: 1}}}}}}\n\
         sinks: {{out: {{otlp: {{endpoint: 'http://127.0.0.1:{search}', protocol: http, compression: none}}}}}}\n"
    ));
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap() + "  in_flight_mebibytes: 1\n";
    fs::write(site.path("logrisk.yaml"), text).unwrap();
    let mut plane = site.start();
    plane.wait_for_log("listening on otlp+http");
    let exporter = format!("endpoint: 'http://127.0.0.1:{ours}'\n    compression: zstd");
    let collector = Collector::start(&passing(theirs, "otlp_http", &exporter));
    for number in 0..50 {
        send(theirs, number * 200..(number + 1) * 200);
    }
    // It is told to come again, in both ways.
    collector.wait_for("responded with HTTP Status Code 503", 1);
    collector.wait_for("responded with HTTP Status Code 429", 1);
    let listener = TcpListener::bind(("127.0.0.1", search)).unwrap();
    let (mut messages, began) = (BTreeSet::new(), Instant::now());
    while messages.len() < 10_000 {
        assert!(began.elapsed() < PATIENCE, "{} of 10000 records", messages.len());
        let body = receive(&listener, "200 OK");
        let sent = opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest::decode(&*body);
        for record in sent.unwrap().resource_logs.into_iter().flat_map(|group| group.scope_logs) {
            messages.extend(record.log_records.into_iter().map(|record| format!("{:?}", record.body)));
        }
    }
    drop(collector);
    // What the Collector sent again meanwhile may still be on its way.
    thread::spawn(move || while !receive(&listener, "200 OK").is_empty() {});
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn a_collector_receives_scored_records_in_its_own_words() {
    let (grpc, http) = (free_port(), free_port());
    let collector = Collector::start(&telling(grpc, http));
    let site = Site::new(&format!(
        "sources: {{in: {{http: {{address: '127.0.0.1:0'}}}}}}\nsinks:\n  calls: {{otlp: {{endpoint: 'http://127.0.0.1:{grpc}', headers: {{x-key: {{file: '{{dir}}/key'}}}}}}}}\n  posts: {{otlp: {{endpoint: 'http://127.0.0.1:{http}', protocol: http}}}}\n"
    ));
    fs::write(site.path("key"), "open sesame").unwrap();
    let checked = run(&["check", site.path("logrisk.yaml").to_str().unwrap()], "");
    assert_eq!(checked.stdout.matches("takes logs").count(), 2, "{}{}", checked.stdout, checked.stderr);
    let mut plane = site.start();
    let line = plane.wait_for_log("listening on http://");
    let url = format!("http://{}", line.split("http://").nth(1).unwrap().split([' ', '"']).next().unwrap());
    let body = json!({
        "message": "data directory corrupted, cannot recover", "level": "fatal", "time": "2026-01-15T10:30:45.123Z",
        "service.name": "shop", "kubernetes.pod.name": "shop-1", "trace.id": "5b8efff798038103d269b633813fc60c", "order": 7,
    });
    ureq::post(&url).send(body.to_string()).unwrap();
    // The answer means that the Collector has it, by both ways.
    let log = collector.log();
    for words in [
        "-> service.name: Str(shop)",
        "-> k8s.pod.name: Str(shop-1)",
        "Timestamp: 2026-01-15 10:30:45.123 +0000 UTC",
        "SeverityText: fatal",
        "SeverityNumber: Fatal(21)",
        "Body: Str(data directory corrupted, cannot recover)",
        "-> risk.label: Int(",
        "-> risk.score: Double(",
        "-> risk.tag: Str(",
        "-> risk.pattern_id: Str(",
        "-> risk.model_version: Str(",
        "-> log.record.uid: Str(",
        "-> order: Int(7)",
        "Trace ID: 5b8efff798038103d269b633813fc60c",
    ] {
        assert_eq!(log.matches(words).count(), 2, "{words}: {log}");
    }
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn a_record_keeps_its_id_and_names_through_two_pipelines_over_mutual_tls() {
    let port = free_port();
    let second = Site::new(&format!(
        "sources: {{in: {{otlp: {{grpc: '127.0.0.1:{port}', token: {{file: '{{dir}}/token'}}, \
         tls: {{certificate: '{{dir}}/tls.crt', key: '{{dir}}/tls.key', client_authority: '{{dir}}/tls.crt'}}}}}}}}\n\
         sinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n"
    ));
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    fs::write(second.path("tls.crt"), &certificate).unwrap();
    fs::write(second.path("tls.key"), &key).unwrap();
    fs::write(second.path("token"), "open sesame").unwrap();
    let mut behind = second.start();
    behind.wait_for_log("listening on otlp+grpc");
    let first = Site::new(&format!(
        "sources: {{logs: {{tail: {{paths: ['{{dir}}/shop-7d9-x2_prod_web.log']}}}}}}\n\
         sinks:\n  out: {{file: {{path: '{{dir}}/out', sync: false}}}}\n  next: {{otlp: {{endpoint: 'https://127.0.0.1:{port}', \
         headers: {{authorization: {{file: '{{dir}}/token'}}}}, certificate_authority: '{{dir}}/tls.crt', identity: '{{dir}}/both.pem'}}}}\n"
    ));
    fs::write(first.path("tls.crt"), &certificate).unwrap();
    fs::write(first.path("both.pem"), certificate + &key).unwrap();
    fs::write(first.path("token"), "Bearer open sesame").unwrap();
    let lines: String =
        (0..3000).map(|number| format!("2026-01-15T10:30:45Z WARN retry {number}\n")).collect();
    fs::write(first.path("shop-7d9-x2_prod_web.log"), lines).unwrap();
    let mut plane = first.start();
    let (sent, found) = (first.wait_for("out", 3000), second.wait_for("out", 3000));
    assert!(sent.keys().eq(found.keys()));
    for (sent, found) in sent.values().zip(found.values()) {
        for name in ["message", "@timestamp", "log.level", "log.file.path", "risk_label", "pattern_id"] {
            assert_eq!(sent[name], found[name], "{name}");
        }
    }
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    assert_eq!(behind.terminate(), Some(0), "{:?}", behind.log_lines());
}

#[test]
fn the_servers_traces_reach_a_collector() {
    let (grpc, http) = (free_port(), free_port());
    let collector = Collector::start(&telling(grpc, http));
    let endpoint = format!("http://127.0.0.1:{http}");
    let mut server = crate::server::Server::start(&["--otlp-endpoint", &endpoint]);
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    server.send("/predict", &[("traceparent", caller)], b"{\"log\": \"ERROR disk full\"}");
    // The end sends what waits.
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let log = collector.wait_for("POST /predict", 1);
    assert!(log.contains("Trace ID       : 4bf92f3577b34da6a3ce929d0e0e4736"), "{log}");
    assert!(log.contains("-> service.name: Str(logrisk)"), "{log}");
}

#[test]
fn the_collectors_example_is_valid() {
    assert_eq!(validate(&repository("config/examples/otelcol.yml")), Ok(()));
    let wrong = Site::new(
        "sources: {in: {otlp: {grpc: here}}}\nsinks: {out: {otlp: {endpoint: 'collector:4317'}}}\n",
    );
    let output =
        command(&["check", "--offline", wrong.path("logrisk.yaml").to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
