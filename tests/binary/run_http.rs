//! The `http` source in its four dialects, and what it answers when sinks are slow, full or gone.

use std::{
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use prost::Message;
use serde_json::{Value, json};

use crate::run_plane::{Plane, Site, by_id};

/// A data plane with an `http` source on a port of its own.
fn start(site: &Site) -> (Plane, String) {
    let plane = site.start();
    let line = plane.wait_for_log("listening on http://");
    let address = line.split("http://").nth(1).unwrap().split([' ', '"']).next().unwrap().to_owned();
    (plane, format!("http://{address}"))
}

const HTTP: &str = "sources: {in: {http: {address: '127.0.0.1:0'}}}\nsinks: {out: {file: {path: '{dir}/out', sync: false}}}\n";

/// Posts, and returns status and body.
fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let mut request = agent.post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send(body).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[test]
fn an_answer_means_that_the_sink_has_the_records() {
    let site = Site::new(HTTP);
    let (mut plane, url) = start(&site);
    let (status, answer) = post(&url, &[], b"ERROR boom\n\tat a.B.c(D.java:1)\nINFO fine\n");
    // No waiting: it is there when the answer is.
    assert_eq!((status, site.documents("out").len()), (200, 2), "{answer}");
    let body =
        b"{\"msg\":\"out of memory\",\"level\":\"fatal\",\"time\":1768473045123,\"user\":\"x\"}\n{\"a\":1}\n";
    assert_eq!(post(&format!("{url}/ingest"), &[], body).0, 200);
    let found = &site.documents("out")[2];
    assert_eq!(found["message"], "out of memory");
    assert_eq!(found["@timestamp"], "2026-01-15T10:30:45.123Z");
    assert_eq!(
        (&found["log.level"], &found["original.level"], &found["user"]),
        (&json!("fatal"), &json!("fatal"), &json!("x"))
    );
    assert_eq!(site.documents("out")[3]["message"], "{\"a\":1}");
    assert_eq!(plane.terminate(), Some(0));
}

#[test]
fn a_bulk_body_is_taken_as_elasticsearch_takes_it() {
    let site = Site::new(HTTP);
    let (_plane, url) = start(&site);
    let accept = "application/vnd.elasticsearch+json; compatible-with=8";
    let mut about = ureq::get(&url).header("accept", accept).call().unwrap();
    assert_eq!(about.headers()["x-elastic-product"], "Elasticsearch");
    assert_eq!(about.headers()["content-type"], "application/vnd.elasticsearch+json;compatible-with=8");
    let about: Value = serde_json::from_str(&about.body_mut().read_to_string().unwrap()).unwrap();
    assert!(about["version"]["number"].as_str().unwrap().starts_with("8."));
    for path in ["/_license", "/_index_template/filebeat", "/_ilm/policy/x", "/_cluster/health"] {
        assert!(ureq::get(format!("{url}{path}")).call().is_ok(), "{path}");
    }
    let body = "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"@timestamp\":\"2026-01-15T10:30:45Z\",\"message\":\"refused\",\"log\":{\"level\":\"error\"},\"host\":{\"name\":\"h\"}}\n\
                {\"index\":{}}\n{\"message\":\"fine\"}\n{\"delete\":{\"_id\":\"1\"}}\n{\"index\":{}}\n[]\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(body.as_bytes()).unwrap();
    let headers = [("content-type", "application/x-ndjson"), ("content-encoding", "gzip")];
    let (status, answer) = post(&format!("{url}/logs/_bulk"), &headers, &packed.finish().unwrap());
    assert_eq!((status, &answer["errors"]), (200, &json!(true)));
    let statuses: Vec<_> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [201, 201, 400, 400]);
    assert_eq!(
        (&answer["items"][0]["create"]["_id"], &answer["items"][1]["index"]["_index"]),
        (&json!("1"), &json!("logs"))
    );
    let found = site.documents("out");
    assert_eq!(
        (found.len(), &found[0]["log.level"], &found[0]["host"]["name"]),
        (2, &json!("error"), &json!("h"))
    );
    // The sender's id names the record, so that a repeated request is no other record.
    post(&format!("{url}/_bulk"), &[], body.as_bytes());
    assert_eq!(site.documents("out")[2]["record_id"], found[0]["record_id"]);
    let (status, answer) = post(&format!("{url}/_bulk"), &[], b"{\"index\":{}}\n");
    assert_eq!(status, 400, "{answer}");
}

#[test]
fn a_request_that_is_repeated_brings_the_same_records() {
    let site = Site::new(HTTP);
    let (_plane, url) = start(&site);
    let lines = b"INFO first\nINFO first\nINFO second\n";
    let bulk = b"{\"index\":{}}\n{\"message\":\"INFO third\"}\n";
    let events = b"{\"event\":\"INFO fourth\"}{\"event\":\"INFO fourth\"}";
    for _ in 0..2 {
        assert_eq!(post(&url, &[], lines).0, 200);
        assert_eq!(post(&format!("{url}/_bulk"), &[], bulk).0, 200);
        assert_eq!(post(&format!("{url}/services/collector/event"), &[], events).0, 200);
    }
    let found = site.documents("out");
    assert_eq!((found.len(), by_id(found).len()), (12, 6));
    // Another body, other records.
    post(&url, &[], b"INFO first\n");
    assert_eq!(by_id(site.documents("out")).len(), 7);
}

#[derive(Clone, PartialEq, Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    time: Option<Time>,
    #[prost(string, tag = "2")]
    line: String,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[test]
fn loki_pushes_are_taken_in_json_and_in_protobuf() {
    let site = Site::new(HTTP);
    let (_plane, url) = start(&site);
    let push = format!("{url}/loki/api/v1/push");
    let json = json!({"streams": [{"stream": {"namespace": "prod", "app": "shop", "level": "error"}, "values": [
        ["1768473045123000000", "connection refused"], ["1768473046000000000", "again", {"trace_id": "t1"}],
    ]}]});
    assert_eq!(post(&push, &[("content-type", "application/json")], json.to_string().as_bytes()).0, 204);
    let time = Time { seconds: 1_768_473_045, nanos: 123_000_000 };
    let entries = vec![Entry { time: Some(time), line: "connection refused".to_owned() }];
    let labels = "{app=\"shop\", level=\"error\", namespace=\"prod\"}".to_owned();
    let packed = snap::raw::Encoder::new()
        .compress_vec(&Push { streams: vec![Stream { labels, entries }] }.encode_to_vec())
        .unwrap();
    assert_eq!(post(&push, &[("content-type", "application/x-protobuf")], &packed).0, 204);
    let found = site.documents("out");
    assert_eq!(
        (found.len(), &found[0]["kubernetes.namespace"], &found[0]["labels.app"]),
        (3, &json!("prod"), &json!("shop"))
    );
    assert_eq!(
        (&found[0]["@timestamp"], &found[0]["log.level"]),
        (&json!("2026-01-15T10:30:45.123Z"), &json!("error"))
    );
    assert_eq!(found[1]["trace_id"], "t1");
    assert_eq!(found[2]["record_id"], found[0]["record_id"], "the same entry, sent again in the other form");
    assert_eq!(post(&push, &[], b"not snappy").0, 400);
}

#[test]
fn splunks_senders_need_the_token() {
    let site = Site::new(
        "sources: {in: {http: {address: '127.0.0.1:0', token: {file: '{dir}/token'}}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    fs::write(site.path("token"), "open sesame\n").unwrap();
    let (_plane, url) = start(&site);
    let collector = format!("{url}/services/collector/event");
    let events = b"{\"time\":1768473045.123,\"host\":\"h\",\"event\":\"disk full\",\"fields\":{\"dc\":\"x\"}}{\"event\":{\"message\":\"m\",\"severity\":\"warn\"}}";
    assert_eq!(post(&collector, &[], events).0, 401);
    assert_eq!(post(&collector, &[("authorization", "Splunk wrong")], events).0, 401);
    let (status, answer) = post(&collector, &[("authorization", "Splunk open sesame")], events);
    assert_eq!((status, &answer["code"]), (200, &json!(0)), "{answer}");
    let found = site.documents("out");
    assert_eq!((found.len(), &found[0]["host.name"], &found[0]["dc"]), (2, &json!("h"), &json!("x")));
    assert_eq!(
        (&found[0]["@timestamp"], &found[1]["log.level"]),
        (&json!("2026-01-15T10:30:45.123Z"), &json!("warning"))
    );
    let (status, answer) = post(&collector, &[("authorization", "Bearer open sesame")], b"{]");
    assert_eq!((status, &answer["code"]), (400, &json!(6)));
}

#[test]
fn senders_are_told_to_come_again_when_too_much_is_in_flight() {
    let site = Site::new(
        "sources: {in: {http: {address: '127.0.0.1:0', timeout_secs: 1}}}\nsinks: {out: {elastic: {hosts: ['http://127.0.0.1:1']}}}\n",
    );
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap() + "  in_flight_mebibytes: 1\n";
    let text = text.replace("grace_secs: 30", "grace_secs: 0");
    fs::write(site.path("logrisk.yaml"), text).unwrap();
    let (mut plane, url) = start(&site);
    let body = "INFO request served in 12 ms\n".repeat(2000);
    let began = Instant::now();
    let first = post(&url, &[], body.as_bytes());
    assert_eq!(first.0, 503, "the sinks are away: {first:?}");
    let statuses: Vec<_> = (0..4).map(|_| post(&url, &[], body.as_bytes()).0).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(plane.terminate(), Some(1));
}
