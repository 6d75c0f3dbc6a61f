//! The `otlp` source: what it answers, by HTTP and by gRPC, to good senders and bad ones.

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    otelcol::{python, telemetrygen},
    run_plane::{Plane, Site},
    server::receive,
};

const FILE: &str = "sinks: {out: {file: {path: '{dir}/out', sync: false}}}\n";
const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A data plane with an `otlp` source on two free ports, and its addresses for gRPC and HTTP.
fn start(site: &Site) -> (Plane, String, String) {
    let plane = site.start();
    let address = |protocol: &str| {
        let begin = format!("listening on otlp+{protocol}://");
        let line = plane.wait_for_log(&begin);
        line.split(&begin).nth(1).unwrap().split([' ', '"']).next().unwrap().to_owned()
    };
    let (grpc, http) = (address("grpc"), address("http"));
    (plane, grpc, http)
}

fn site(extra: &str, sinks: &str) -> Site {
    Site::new(&format!(
        "sources: {{in: {{otlp: {{grpc: '127.0.0.1:0', http: '127.0.0.1:0'{extra}}}}}}}\n{sinks}"
    ))
}

/// Posts, and returns status, headers and body.
fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, ureq::http::HeaderMap, Vec<u8>) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send(body).unwrap();
    let body = response.body_mut().read_to_vec().unwrap();
    (response.status().as_u16(), response.headers().clone(), body)
}

fn words(value: impl Into<String>) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(value.into())) })
}

/// A request with numbered records of a service.
pub fn request(numbers: std::ops::Range<u64>) -> ExportLogsServiceRequest {
    let name = KeyValue { key: "service.name".to_owned(), value: words("shop"), ..KeyValue::default() };
    let record = |number| LogRecord {
        time_unix_nano: 1_768_473_045_000_000_000 + number,
        severity_number: 9,
        body: words(format!("request {number} served")),
        ..LogRecord::default()
    };
    let scope = ScopeLogs { log_records: numbers.map(record).collect(), ..ScopeLogs::default() };
    let resource = Resource { attributes: vec![name], ..Resource::default() };
    let group = ResourceLogs { resource: Some(resource), scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![group] }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The status of one call by OpenTelemetry's own library.
fn call(site: &Site, address: &str, method: &str, body: &[u8]) -> Value {
    fs::write(site.path("body"), body).unwrap();
    let output = python().args(["call", address, method]).arg(site.path("body")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_answer_means_that_the_sink_has_the_records_and_a_repetition_overwrites() {
    let site = site("", FILE);
    let (mut plane, grpc, http) = start(&site);
    let url = format!("http://{http}/v1/logs");
    let body = request(0..500).encode_to_vec();
    let (status, headers, answer) = post(&url, &[PROTOBUF], &body);
    // No waiting: they are there when the answer is.
    assert_eq!((status, site.documents("out").len()), (200, 500));
    assert_eq!((&headers["content-type"], answer.len()), (&"application/x-protobuf".parse().unwrap(), 0));
    let found = &site.documents("out")[7];
    assert_eq!(
        (&found["message"], &found["service.name"], &found["log.level"]),
        (&json!("request 7 served"), &json!("shop"), &json!("info"))
    );
    assert_eq!(found["@timestamp"], "2026-01-15T10:30:45.000Z");
    // The answer got lost, say. However it is sent again, it is the same request.
    assert_eq!(post(&url, &[PROTOBUF, ("content-encoding", "gzip")], &gzip(&body)).0, 200);
    let packed = zstd::encode_all(&*body, 1).unwrap();
    assert_eq!(post(&url, &[PROTOBUF, ("content-encoding", "zstd")], &packed).0, 200);
    assert_eq!(call(&site, &grpc, EXPORT, &body), json!({"code": "OK", "answer": ""}));
    assert_eq!((site.documents("out").len(), site.wait_for("out", 500).len()), (2000, 500));
    let json = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": "1768473045000000000", "severityText": "FATAL", "body": {"stringValue": "out of memory"}},
    ]}]}]});
    let (status, _, answer) = post(&url, &[JSON], json.to_string().as_bytes());
    assert_eq!((status, answer), (200, b"{}".to_vec()));
    assert_eq!(site.documents("out")[2000]["log.level"], "fatal");
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn what_cannot_be_taken_is_refused_in_words() {
    let site = site(", token: {file: '{dir}/token'}, body_mebibytes: 1", FILE);
    fs::write(site.path("token"), "open sesame\n").unwrap();
    let (_plane, grpc, http) = start(&site);
    let url = format!("http://{http}/v1/logs");
    let token = ("authorization", "Bearer open sesame");
    let refused = |url: &str, headers: &[(&str, &str)], body: &[u8]| {
        let (status, _, answer) = post(url, headers, body);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        (status, answer["code"].as_i64().unwrap(), answer["message"].as_str().unwrap().to_owned())
    };
    let check = |found: (u16, i64, String), status, code, words| {
        assert_eq!((found.0, found.1), (status, code), "{found:?}");
        assert!(found.2.contains(words), "{found:?}");
    };
    check(refused(&url, &[JSON], b"{}"), 401, 16, "token");
    check(refused(&url, &[JSON, token], b"{]"), 400, 3, "no JSON of logs");
    check(refused(&url, &[("content-type", "text/plain"), token], b"x"), 415, 12, "application/x-protobuf");
    let zeros = gzip(&vec![0; 64 << 20]);
    check(refused(&url, &[JSON, token, ("content-encoding", "gzip")], &zeros), 413, 8, "1 MiB");
    let many = format!("{{\"resourceLogs\":[{}{{}}]}}", "{},".repeat(100_000));
    check(refused(&url, &[JSON, token], many.as_bytes()), 413, 8, "send less at once");
    for signal in ["traces", "metrics"] {
        check(refused(&format!("http://{http}/v1/{signal}"), &[JSON, token], b"{}"), 404, 12, "logs alone");
    }
    let (status, _, answer) = post(&url, &[PROTOBUF, token], b"no protobuf");
    assert_eq!((status, answer[..2].to_vec()), (400, vec![0x08, 3]), "a google.rpc.Status");
    let stranger = call(&site, &grpc, EXPORT, b"");
    assert_eq!((&stranger["code"], &stranger["pause"]), (&json!("UNAUTHENTICATED"), &json!(false)));
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let traces = call(&site, &grpc, traces, b"");
    assert_eq!(traces["code"], "UNIMPLEMENTED");
    assert!(traces["message"].as_str().unwrap().contains("logs alone"), "{traces}");
    assert!(site.documents("out").is_empty());
}

#[test]
fn bombs_and_nonsense_by_grpc_are_refused() {
    let site = site(", body_mebibytes: 1", FILE);
    let (mut plane, grpc, _) = start(&site);
    // 64 MiB that are a few kilobytes on their way.
    let bomb = call(&site, &grpc, EXPORT, &vec![0; 64 << 20]);
    assert_eq!((&bomb["code"], &bomb["pause"]), (&json!("RESOURCE_EXHAUSTED"), &json!(false)), "{bomb}");
    let nonsense = call(&site, &grpc, EXPORT, b"no protobuf");
    assert_eq!(nonsense["code"], "INVALID_ARGUMENT");
    for nonsense in
        ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxx", "\x16\x03\x01"]
    {
        let mut stream = TcpStream::connect(&grpc).unwrap();
        stream.write_all(nonsense.as_bytes()).unwrap();
    }
    assert_eq!(call(&site, &grpc, EXPORT, &request(0..3).encode_to_vec())["code"], "OK");
    assert_eq!(site.documents("out").len(), 3);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn senders_hear_when_to_come_again() {
    let site = site(", timeout_secs: 1", "sinks: {out: {elastic: {hosts: ['http://127.0.0.1:1']}}}\n");
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap() + "  in_flight_mebibytes: 1\n";
    fs::write(site.path("logrisk.yaml"), text.replace("grace_secs: 30", "grace_secs: 0")).unwrap();
    let (mut plane, grpc, http) = start(&site);
    let url = format!("http://{http}/v1/logs");
    let body = request(0..2000).encode_to_vec();
    let (status, headers, _) = post(&url, &[PROTOBUF], &body);
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "1"), "the sinks are away");
    // The first request still holds most of what may be in flight.
    let (status, headers, _) = post(&url, &[PROTOBUF], &body);
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "1"));
    let full = call(&site, &grpc, EXPORT, &body);
    assert_eq!((&full["code"], &full["pause"]), (&json!("RESOURCE_EXHAUSTED"), &json!(true)), "{full}");
    assert_eq!(plane.terminate(), Some(1));
}

#[test]
fn records_that_a_sink_refuses_for_good_are_counted_in_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        loop {
            receive(&listener, "400 Bad Request");
        }
    });
    let sinks = format!(
        "sinks:\n  out: {{file: {{path: '{{dir}}/out', sync: false}}}}\n  never: {{otlp: {{endpoint: 'http://127.0.0.1:{port}', protocol: http}}}}\nroutes: [{{to: [never], fields: {{attributes.refuse: really}}}}]\n"
    );
    let site = site("", &sinks);
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap();
    let without: Vec<_> = text.lines().filter(|line| !line.contains("dead_letter")).collect();
    fs::write(site.path("logrisk.yaml"), without.join("\n")).unwrap();
    let (_plane, grpc, http) = start(&site);
    let mut wanted = request(0..10);
    for record in wanted.resource_logs[0].scope_logs[0].log_records.iter_mut().skip(7) {
        let refuse = KeyValue { key: "refuse".to_owned(), value: words("really"), ..KeyValue::default() };
        record.attributes.push(refuse);
    }
    let body = wanted.encode_to_vec();
    let (status, _, answer) = post(&format!("http://{http}/v1/logs"), &[PROTOBUF], &body);
    let partial = ExportLogsServiceResponse::decode(&*answer).unwrap().partial_success.unwrap();
    assert_eq!((status, partial.rejected_log_records), (200, 3), "{partial:?}");
    assert!(!partial.error_message.is_empty());
    let answer = call(&site, &grpc, EXPORT, &body);
    assert!(answer["answer"].as_str().unwrap().starts_with("0a"), "{answer}");
    assert_eq!(site.wait_for("out", 10).len(), 10);
}

fn succeeded(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn telemetrygen_is_understood_also_over_mutual_tls() {
    let plain = site("", FILE);
    let (_plane, grpc, http) = start(&plain);
    let flags = ["logs", "--logs", "250", "--rate", "0", "--workers", "2", "--body", "disk sda1 is full"];
    succeeded(telemetrygen().args(flags).args(["--otlp-insecure", "--otlp-endpoint", &grpc]));
    assert_eq!(plain.wait_for("out", 500).len(), 500);
    succeeded(telemetrygen().args(flags).args(["--otlp-insecure", "--otlp-http", "--otlp-endpoint", &http]));
    let found = plain.wait_for("out", 1000);
    assert!(found.values().all(|one| one["service.name"] == "telemetrygen" && one["log.level"] == "info"));

    let files = "certificate: '{dir}/tls.crt', key: '{dir}/tls.key', client_authority: '{dir}/tls.crt'";
    let secure = site(&format!(", tls: {{{files}}}"), FILE);
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(secure.path("tls.crt"), made.cert.pem()).unwrap();
    fs::write(secure.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let (_plane, grpc, http) = start(&secure);
    let path = |name| secure.path(name).display().to_string();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let tls = ["--ca-cert", &certificate, "--mtls", "--client-cert", &certificate, "--client-key", &key];
    succeeded(telemetrygen().args(flags).args(tls).args(["--otlp-endpoint", &grpc]));
    succeeded(telemetrygen().args(flags).args(tls).args(["--otlp-http", "--otlp-endpoint", &http]));
    assert_eq!(secure.wait_for("out", 1000).len(), 1000);
    // Without a certificate nobody gets in.
    let stranger = ["--timeout", "2s", "--ca-cert", &certificate, "--otlp-endpoint", &grpc];
    assert!(!telemetrygen().args(flags).args(stranger).status().unwrap().success());
    assert_eq!(secure.documents("out").len(), 1000);
}

#[test]
fn pythons_logging_is_understood() {
    let site = site("", FILE);
    let (_plane, grpc, http) = start(&site);
    succeeded(python().args(["log", "grpc", &grpc, "200"]));
    assert_eq!(site.wait_for("out", 201).len(), 201);
    succeeded(python().args(["log", "http", &format!("http://{http}"), "200"]));
    let found = site.wait_for("out", 402);
    for one in found.values() {
        assert_eq!(
            (&one["service.name"], &one["kubernetes.pod.name"], &one["resource.team"], &one["log.level"]),
            (&json!("shop"), &json!("shop-1"), &json!("red"), &json!("error"))
        );
        assert_eq!(one["log.logger"], "shop.checkout");
    }
    let failed: Vec<_> = found.values().filter(|one| one["message"] == "checkout failed").collect();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0]["error.type"], "ValueError");
    assert!(failed[0]["error.stack_trace"].as_str().unwrap().contains("no such currency"));
    let numbers = found.values().filter_map(|one| one["attributes.order"].as_u64()).sum::<u64>();
    assert_eq!(numbers, 2 * (0..200).sum::<u64>());
}
