//! The `elastic` sink against a real OpenSearch, and against a server of bad temper.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    common::{command, repository},
    run_plane::{PATIENCE, Site},
};

/// A real OpenSearch or Elasticsearch. Its data survives a kill.
pub struct Server {
    script: &'static str,
    data: tempfile::TempDir,
    pub port: u16,
}

/// One server for all tests, one test at a time: they kill it.
pub fn opensearch() -> MutexGuard<'static, Server> {
    static SERVER: OnceLock<Mutex<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Mutex::new(Server::new("tests/servers/opensearch.sh")));
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last Elasticsearch with a free licence, which has neither points in time nor life cycles.
pub fn elasticsearch() -> MutexGuard<'static, Server> {
    static SERVER: OnceLock<Mutex<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Mutex::new(Server::new("tests/servers/elasticsearch.sh")));
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    fn new(script: &'static str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The transport's port is a hundred higher.
        let server = Self { script, data: tempfile::tempdir().unwrap(), port: port.min(65_000) };
        server.start();
        server
    }

    fn script(&self, arguments: &[&str]) {
        let parent = std::process::id().to_string();
        let status = Command::new(repository(self.script))
            .args(arguments)
            .env("OPENSEARCH_PARENT", &parent)
            .env("ELASTICSEARCH_PARENT", &parent)
            .status();
        assert!(
            status.unwrap().success(),
            "{} failed; it needs Maven, and a JDK as it says itself",
            self.script
        );
    }

    pub fn start(&self) {
        let cache = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-servers");
        let (data, port) = (self.data.path().display().to_string(), self.port.to_string());
        self.script(&["start", cache.to_str().unwrap(), &data, &port]);
    }

    pub fn kill(&self) {
        let pid = fs::read_to_string(self.data.path().join("pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
        while self.try_get("/").is_some() {
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn try_get(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let text = ureq::get(url).call().ok()?.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }

    fn put(&self, path: &str, body: &Value) {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        ureq::put(url).header("content-type", "application/json").send(body.to_string()).unwrap();
    }

    pub fn post(&self, path: &str, body: &str) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut answer = ureq::post(url).header("content-type", "application/x-ndjson").send(body).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    pub fn count(&self, index: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/{index}/_refresh", self.port);
        _ = ureq::post(url).send_empty();
        let counted = self.try_get(&format!("/{index}/_count"));
        counted.and_then(|counted| counted["count"].as_u64()).unwrap_or(0)
    }

    pub fn wait_for(&self, index: &str, documents: u64) {
        let began = Instant::now();
        while self.count(index) < documents {
            assert!(began.elapsed() < PATIENCE, "{} of {documents} documents in {index}", self.count(index));
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(self.count(index), documents);
    }
}

fn settings(port: u16, index: &str) -> String {
    format!(
        "sources: {{logs: {{tail: {{paths: ['{{dir}}/app.log']}}}}}}\n\
         sinks: {{search: {{elastic: {{hosts: ['http://127.0.0.1:{port}'], index: '{index}-%Y.%m.%d', risky_index: '{index}risky-%Y'}}}}}}\n"
    )
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|number| format!("2026-01-15T10:30:45Z INFO request {number} served in {} ms\n", number % 97))
        .collect()
}

#[test]
fn documents_are_indexed_once_through_kills_of_both_sides() {
    let server = opensearch();
    let site = Site::new(&settings(server.port, "kills"));
    fs::write(site.path("app.log"), lines(0..20_000)).unwrap();
    // Of us, at moments from before the first request to after the last.
    for milliseconds in (0..20).map(|step| 60 + 40 * step) {
        let plane = site.start();
        thread::sleep(Duration::from_millis(milliseconds));
        drop(plane);
    }
    let mut plane = site.start();
    server.wait_for("kills-2026.01.15", 20_000);
    // And of the server, in the middle.
    let appended =
        lines(20_000..60_000) + "2026-01-15T10:31:45Z FATAL data directory corrupted, cannot recover\n";
    fs::OpenOptions::new()
        .append(true)
        .open(site.path("app.log"))
        .unwrap()
        .write_all(appended.as_bytes())
        .unwrap();
    thread::sleep(Duration::from_millis(300));
    server.kill();
    server.start();
    server.wait_for("kills-2026.01.15", 60_001);
    server.wait_for("killsrisky-2026", 1);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    let template = server.try_get("/_index_template/logrisk-kills").unwrap();
    assert_eq!(template["index_templates"][0]["index_template"]["index_patterns"], json!(["kills-*"]));
    let mapping = server.try_get("/kills-2026.01.15/_mapping").unwrap();
    let properties = &mapping["kills-2026.01.15"]["mappings"]["properties"];
    assert_eq!(properties["risk_label"]["type"], "byte", "{mapping}");
}

#[test]
fn what_the_mapping_refuses_is_kept_and_replayed() {
    let server = opensearch();
    server.put(
        "/strict-2026.01.15",
        &json!({"mappings": {"properties": {"log": {"properties": {"offset": {"type": "ip"}}}}}}),
    );
    let site = Site::new(&settings(server.port, "strict"));
    fs::write(site.path("app.log"), lines(0..50) + "2026-01-16T10:30:45Z INFO of another day\n").unwrap();
    let mut plane = site.start();
    // The neighbour of another index is written.
    server.wait_for("strict-2026.01.16", 1);
    plane.wait_for_log("records were refused");
    assert_eq!(plane.terminate(), Some(0));
    let config = site.path("logrisk.yaml");
    let replay = |arguments: &[&str]| {
        let mut all = vec!["replay-dead-letter", "-c", config.to_str().unwrap()];
        all.extend(arguments);
        command(&all).env("LOGRISK_MODEL", "mini").output().unwrap()
    };
    let listed = String::from_utf8(replay(&["--list"]).stdout).unwrap();
    assert!(listed.starts_with("search\t") && listed.contains("offset"), "{listed}");
    // Refused again, kept again.
    assert_eq!(replay(&[]).status.code(), Some(1));
    let gone = ureq::delete(format!("http://127.0.0.1:{}/strict-2026.01.15", server.port)).call();
    assert!(gone.is_ok());
    let replayed = replay(&[]);
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    server.wait_for("strict-2026.01.15", 50);
    assert_eq!(fs::read_dir(site.path("dead")).unwrap().count(), 0);
}

/// Reads one request; `None` at the end of the connection.
pub fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length =
        head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A coin that falls the same way in every run, two times of three on its head.
fn is_willing(coin: &AtomicUsize) -> bool {
    let toss = coin.fetch_add(1, Ordering::Relaxed) as u64;
    !(toss.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).is_multiple_of(3)
}

/// A server that refuses one request of three with 429 and, of those it takes, one item of three.
fn bad_tempered(stored: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mood = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (stored, mood) = (Arc::clone(&stored), Arc::clone(&mood));
            thread::spawn(move || {
                while let Some((head, body)) = read_request(&mut stream) {
                    let (status, answer) = if head.starts_with("get / ") {
                        (200, json!({"version": {"number": "2.0.0", "distribution": "opensearch"}}))
                    } else if !head.contains("/_bulk") {
                        (200, json!({}))
                    } else if !is_willing(&mood) {
                        (429, json!({"error": "busy"}))
                    } else {
                        let text = String::from_utf8(body).unwrap();
                        let mut items = Vec::new();
                        for action in text.lines().step_by(2) {
                            let action: Value = serde_json::from_str(action).unwrap();
                            if is_willing(&mood) {
                                stored
                                    .lock()
                                    .unwrap()
                                    .push(action["index"]["_id"].as_str().unwrap().to_owned());
                                items.push(json!({"index": {"status": 201}}));
                            } else {
                                items.push(json!({"index": {"status": 429, "error": {"type": "x", "reason": "full"}}}));
                            }
                        }
                        (200, json!({"errors": true, "items": items}))
                    };
                    let answer = answer.to_string();
                    let sent = write!(
                        stream,
                        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}",
                        answer.len()
                    );
                    if sent.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_storm_of_429_repeats_exactly_what_was_refused() {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let port = bad_tempered(Arc::clone(&stored));
    let site = Site::new(&settings(port, "storm"));
    fs::write(site.path("app.log"), lines(0..3000)).unwrap();
    let mut plane = site.start();
    let began = Instant::now();
    while stored.lock().unwrap().len() < 3000 {
        assert!(began.elapsed() < PATIENCE, "{}", stored.lock().unwrap().len());
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    let mut ids = stored.lock().unwrap().clone();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), stored.lock().unwrap().len()), (3000, 3000), "what was taken was sent again");
}

#[test]
fn a_server_that_is_away_is_named_at_the_end_of_the_grace_period() {
    let site = Site::new(&settings(1, "away"));
    let text =
        fs::read_to_string(site.path("logrisk.yaml")).unwrap().replace("grace_secs: 30", "grace_secs: 1");
    fs::write(site.path("logrisk.yaml"), text).unwrap();
    fs::write(site.path("app.log"), lines(0..10)).unwrap();
    let mut plane = site.start();
    plane.wait_for_log("will be repeated");
    plane.signal("TERM");
    let unfinished = plane.wait_for_log("not written within the grace period");
    assert!(unfinished.contains("records=") && unfinished.contains("search"), "{unfinished}");
    assert_eq!(plane.wait(), Some(1));
}

/// What waits for a sink is bounded, and so is the memory; nothing is lost by it.
#[test]
fn a_sink_that_is_away_does_not_fill_the_memory() {
    let site = Site::new(&settings(1, "away"));
    let text =
        fs::read_to_string(site.path("logrisk.yaml")).unwrap().replace("grace_secs: 30", "grace_secs: 0");
    fs::write(site.path("logrisk.yaml"), text).unwrap();
    // Several times what may be in flight.
    let mut log = std::io::BufWriter::new(fs::File::create(site.path("app.log")).unwrap());
    (0..3_000).for_each(|block| log.write_all(lines(block * 1000..(block + 1) * 1000).as_bytes()).unwrap());
    drop(log);
    let mut plane = site.start();
    plane.wait_for_log("will be repeated");
    let peak = || {
        let status = fs::read_to_string(format!("/proc/{}/status", plane.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    };
    // Until it has grown as far as it grows.
    let mut last = 0;
    while peak() > last {
        last = peak();
        thread::sleep(Duration::from_secs(2));
    }
    assert!((30..256).contains(&last), "{last} MiB");
    assert_eq!(plane.terminate(), Some(1));
}
