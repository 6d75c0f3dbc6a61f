//! Who looks at a running server: watchers of its stream, Prometheus, a collector of traces, and a checker of its document.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Instant,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    common::repository,
    server::{PATIENCE, Server, receive},
};

/// Opens a stream.
fn watch(server: &Server, query: &str, headers: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /stream{query} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    next_line(&mut reader, ": connected");
    reader
}

fn next_line(reader: &mut BufReader<TcpStream>, start: &str) -> String {
    let (began, mut line) = (Instant::now(), String::new());
    loop {
        assert!(began.elapsed() < PATIENCE, "{start:?} does not come");
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream ended before {start:?}");
        if line.starts_with(start) {
            return line;
        }
    }
}

/// The data of the next event of that name.
fn event(reader: &mut BufReader<TcpStream>, name: &str) -> Value {
    next_line(reader, &format!("event: {name}"));
    let line = next_line(reader, "data: ");
    serde_json::from_str(line.trim_start_matches("data: ")).unwrap()
}

#[test]
fn watchers_see_lines_corrections_models_and_the_end() {
    let mut server = Server::start(&[]);
    // Whatever the model thinks of it.
    server.post("/feedback", &json!({"log": "ERROR disk full", "risk_label": 8}));
    let mut all = watch(&server, "", "");
    let mut risky = watch(&server, "?min_risk=6&view=ranked", "");
    server.ingest("INFO request served\nERROR disk full\nERROR disk full\n");
    let rows = event(&mut all, "rows");
    assert_eq!((&rows["seen"], rows["rows"].as_array().unwrap().len()), (&json!(3), 3));
    let rows = event(&mut risky, "rows");
    assert_eq!((&rows["seen"], rows["rows"].as_array().unwrap().len()), (&json!(2), 1));
    let row = &rows["rows"][0];
    assert_eq!(
        (&row["count"], &row["novel"], &row["text"]),
        (&json!(2), &json!(true), &json!("ERROR disk full"))
    );
    assert_eq!(event(&mut all, "totals")["lines"], 3);
    server.post("/feedback", &json!({"log": "ERROR disk full", "risk_label": 1}));
    assert_eq!(event(&mut all, "corrected")["risk_label"], 1);
    server.send("/models/reload", &[], b"");
    assert!(event(&mut all, "model")["active"].is_string());
    server.signal("TERM");
    event(&mut all, "bye");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn who_comes_back_to_the_stream_hears_what_was_missed() {
    let server = Server::start(&["--streams-per-client", "2"]);
    let mut first = watch(&server, "", "");
    server.ingest("INFO request served\n");
    event(&mut first, "rows");
    let id = next_line(&mut first, "id: ").trim_start_matches("id: ").trim().to_owned();
    drop(first);
    server.ingest("ERROR disk full\nERROR disk full\n");
    let back = format!("Last-Event-ID: {id}\r\n");
    let mut again = watch(&server, "", &back);
    assert_eq!(event(&mut again, "resumed")["complete"], true);
    let rows = event(&mut again, "rows");
    assert!(rows["rows"].as_array().unwrap().iter().any(|row| row["text"] == "ERROR disk full"), "{rows}");
    let mut stranger = watch(&server, "", "Last-Event-ID: 123-4\r\n");
    assert_eq!(event(&mut stranger, "resumed")["complete"], false);
    let third = server.get("/stream");
    assert_eq!((third.status, third.json()["code"].as_str()), (429, Some("streams_full")));
    drop((again, stranger));
    // The server notices when it next writes.
    server.wait_until("there is room again", || {
        server.get("/metrics").text.contains("logrisk_stream_watchers 0\n")
    });
}

/// Ends a process that a test started.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn prometheus(tool: &str) -> Command {
    let script = Command::new(repository("tests/servers/promtool")).output().unwrap();
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    Command::new(format!("{}/{tool}", String::from_utf8(script.stdout).unwrap().trim()))
}

#[test]
fn prometheus_takes_every_metric() {
    let server = Server::start(&[]);
    server.post("/predict", &json!({"log": "ERROR disk full"}));
    server.ingest("ERROR disk full\nINFO request served\n");

    // The text as of before OpenMetrics, where a counter's type names it as its samples do.
    let text = server.get("/metrics").text;
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut older = String::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let renamed = counters.iter().find_map(|name| {
            let (head, rest) = line.split_at_checked(7)?;
            let rest = rest.strip_prefix(name)?.strip_prefix(' ').filter(|_| head.starts_with("# "))?;
            Some(format!("{head}{name}_total {rest}"))
        });
        older.push_str(renamed.as_deref().unwrap_or(line));
        older.push('\n');
    }
    let mut check = prometheus("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(older.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    assert!(checked.status.success(), "{}\n{older}", String::from_utf8_lossy(&checked.stderr));

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let yaml = format!(
        "scrape_configs:\n  - job_name: logrisk\n    scrape_interval: 1s\n    static_configs:\n      - targets: [\"{}\"]\n",
        server.address
    );
    fs::write(&config, yaml).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = prometheus("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ending = Ending(started);
    let ask = |query: &str| {
        let answer = ureq::get(format!("http://127.0.0.1:{port}/api/v1/query?query={query}")).call().ok()?;
        let answer: Value = serde_json::from_str(&answer.into_body().read_to_string().ok()?).ok()?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    server.wait_until("Prometheus has read the metrics", || ask("logrisk_ready").as_deref() == Some("1"));
    assert_eq!(ask("up").as_deref(), Some("1"));
    assert_eq!(ask("sum(logrisk_lines_total)").as_deref(), Some("3"));
    let new = "1000*logrisk_new_patterns_total/logrisk_ingested_lines_total";
    assert_eq!(ask(new).as_deref(), Some("1000"), "two lines, two patterns");
    assert_eq!(ask("sum(logrisk_judged_risks_total)").as_deref(), Some("3"), "and one to warm up");
    assert!(ask("logrisk_tokens_total").unwrap().parse::<u64>().unwrap() > 4);
}

#[test]
fn drift_is_measured_against_what_the_model_was_calibrated_on() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for file in fs::read_dir(repository("models/mini")).unwrap().map(|file| file.unwrap().path()) {
        fs::copy(&file, model.join(file.file_name().unwrap())).unwrap();
    }
    let manifest = model.join("manifest.json");
    let mut about: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    // All of them were emergencies.
    let shares: Vec<f64> = (0..11).map(|risk| f64::from(u8::from(risk == 10))).collect();
    about["figures"] = json!({"calibration": {"risk_shares": shares}});
    fs::write(&manifest, about.to_string()).unwrap();
    let server = Server::start(&["--model", model.to_str().unwrap()]);
    let metrics = || server.get("/metrics").text;
    assert!(metrics().contains("logrisk_risk_drift_ratio NaN"), "{}", metrics());
    assert!(metrics().contains("logrisk_trained_risk_ratio{risk=\"10\"} 1.0"), "{}", metrics());
    let words = ["disk", "lease", "shard", "fan", "quota", "token"];
    let logs: Vec<String> = (0..216)
        .map(|n| format!("INFO {} {} {} started \u{1d11e}", words[n % 6], words[n / 6 % 6], words[n / 36]))
        .collect();
    server.post("/predict/batch", &json!({"logs": logs}));
    assert!(metrics().contains("logrisk_risk_drift_ratio 1.0"), "{}", metrics());
    assert!(!metrics().contains("logrisk_unknown_tokens_total 0\n"), "a clef is in no vocabulary");
}

#[test]
fn a_request_continues_its_callers_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", collector.local_addr().unwrap());
    let (sender, exports) = channel();
    thread::spawn(move || {
        // The first attempt fails, which costs its spans and nothing else.
        let mut status = "503 Unavailable";
        while sender.send(receive(&collector, status)).is_ok() {
            status = "200 OK";
        }
    });
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_SERVICE_NAME", "logs"),
    ];
    let mut server = Server::start_unready(&[], &environment);
    server.wait_until("it is ready", || server.get("/readyz").status == 200);
    exports.recv_timeout(PATIENCE).unwrap();
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("x-request-id", "mine-7"),
    ];
    assert_eq!(server.send("/predict", &headers, br#"{"log": "ERROR disk full"}"#).status, 200);
    // What waits is sent at the end.
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));

    let (mut spans, mut service) = (Vec::<Span>::new(), None);
    while let Ok(body) = exports.try_recv() {
        for resource in ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans {
            service = text_of(&resource.resource.unwrap().attributes, "service.name");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    assert_eq!(service.as_deref(), Some("logs"));
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (request, judge) = (of("POST /predict"), of("judge"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&request.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    assert_eq!((&judge.trace_id, &judge.parent_span_id), (&request.trace_id, &request.span_id));
    assert_eq!(text_of(&request.attributes, "http.route").as_deref(), Some("/predict"));
    assert_eq!(text_of(&request.attributes, "logrisk.request_id").as_deref(), Some("mine-7"));
    let log = server.log_lines();
    assert_eq!(log.iter().filter(|line| line.contains("traces could not be sent")).count(), 1, "{log:?}");
}

fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

#[test]
fn answers_are_what_the_document_says() {
    let server = Server::start(&[]);
    server.ingest("ERROR disk full\nINFO request served\n");
    let checked = Command::new(repository("tests/servers/schemathesis"))
        .arg(format!("http://{}", server.address))
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}
