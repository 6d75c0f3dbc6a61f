//! The `elastic` source against a real OpenSearch, which has points in time, and a real Elasticsearch 7.10.2, which has none.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::TcpListener,
    path::PathBuf,
    process::Command,
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    run_elastic::{Server, elasticsearch, opensearch, read_request},
    run_plane::{PATIENCE, Site},
};

/// Milliseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Indexes numbered documents in bulk, in turns into two indices; ten have one time.
fn index(server: &Server, name: &str, numbers: std::ops::Range<i64>, first: i64) {
    let mut body = String::new();
    for number in numbers.clone() {
        let time = jiff::Timestamp::from_millisecond(first + (number - numbers.start) / 10).unwrap();
        let action =
            json!({"index": {"_index": format!("{name}-{}", number % 2), "_id": format!("id/{number} é")}});
        let document = json!({
            "@timestamp": time.to_string(), "message": format!("request {number} failed"), "level": "error",
            "kubernetes": {"namespace": "prod"},
        });
        body += &format!("{action}\n{document}\n");
    }
    let answer = server.post("/_bulk?refresh=true", &body);
    assert_eq!(answer["errors"], false, "{answer}");
}

fn settings(server: &Server, name: &str, extra: &str) -> String {
    format!(
        "sources: {{search: {{elastic: {{hosts: ['http://127.0.0.1:{}'], index: '{name}-*'{extra}}}}}}}\n\
         sinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n",
        server.port
    )
}

/// The numbers of the documents that were written, by ids; and how many lines there are.
fn written(site: &Site) -> (BTreeSet<i64>, usize) {
    let lines = site.documents("out").len();
    let found = crate::run_plane::by_id(site.documents("out"));
    let number =
        |document: &Value| document["message"].as_str().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let numbers: BTreeSet<i64> = found.values().map(number).collect();
    assert_eq!(numbers.len(), found.len(), "a document has two ids");
    (numbers, lines)
}

fn run_to_its_end(site: &Site) {
    let mut plane = site.start();
    assert_eq!(plane.wait(), Some(0), "{:?}", plane.log_lines());
}

fn the_newest_then_what_is_new(server: &Server) {
    let hour_ago = now() - 3_600_000;
    index(server, "newest", 0..2505, hour_ago);
    // As the second seed's classifier: the newest, once.
    let site = Site::new(&settings(server, "newest", ", last: 1100"));
    run_to_its_end(&site);
    let (found, lines) = written(&site);
    assert_eq!((found.len(), lines), (1100, 1100));
    assert!(found.first() >= Some(&1400), "{:?} is not among the newest", found.first());
    let document = &site.documents("out")[0];
    assert_eq!(
        (&document["log.level"], &document["kubernetes"]["namespace"]),
        (&json!("error"), &json!("prod"))
    );
    assert!(document["elastic.index"].as_str().unwrap().starts_with("newest-"), "{document}");
    assert!(document["elastic.id"].as_str().unwrap().starts_with("id/"), "{document}");
    // What is new, some of it late; and of the year 2099, when its time has come.
    index(server, "newest", 3000..3300, now());
    index(server, "newest", 4000..4005, now() - 30_000);
    index(server, "newest", 5000..5001, 4_070_908_800_000);
    thread::sleep(Duration::from_millis(50));
    run_to_its_end(&site);
    let (all, _) = written(&site);
    let new: Vec<_> = all.difference(&found).copied().collect();
    assert_eq!(new, (3000..3300).chain(4000..4005).collect::<Vec<_>>());
    // Everything, whatever the borders of pages and equal times.
    let site = Site::new(&settings(server, "newest", ", query: {term: {level: error}}"));
    run_to_its_end(&site);
    assert_eq!(written(&site), ((0..2505).chain(3000..3300).chain(4000..4005).collect(), 2810));
}

#[test]
fn the_newest_documents_of_opensearch_are_read_then_what_is_new() {
    the_newest_then_what_is_new(&opensearch());
}

#[test]
fn the_newest_documents_of_elasticsearch_are_read_then_what_is_new() {
    the_newest_then_what_is_new(&elasticsearch());
}

fn every_second_through_kills(server: &Server) {
    let site = Site::new(&settings(server, "every", ", every_secs: 1, late_secs: 5"));
    let mut sent = 0;
    for step in 0..12 {
        let plane = site.start();
        index(server, "every", sent..sent + 700, now() - 200);
        sent += 700;
        thread::sleep(Duration::from_millis(100 + 977 * step % 1500));
        drop(plane);
    }
    let mut plane = site.start();
    let began = Instant::now();
    while written(&site).0.len() < usize::try_from(sent).unwrap() {
        assert!(began.elapsed() < PATIENCE, "{} of {sent}", written(&site).0.len());
        thread::sleep(Duration::from_millis(100));
    }
    // What is in the stretch that passes share is not written again and again.
    let (_, lines) = written(&site);
    thread::sleep(Duration::from_secs(3));
    assert_eq!(written(&site).1, lines);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn what_is_new_in_opensearch_is_read_every_second_through_kills() {
    every_second_through_kills(&opensearch());
}

#[test]
fn what_is_new_in_elasticsearch_is_read_every_second_through_kills() {
    every_second_through_kills(&elasticsearch());
}

/// Two replicas that know nothing of each other write scores into the documents themselves.
fn scores_are_written_back(server: &Server) {
    index(server, "back", 0..1500, now() - 60_000);
    let settings = format!(
        "sources: {{search: {{elastic: {{hosts: ['http://127.0.0.1:{0}'], index: 'back-*'}}}}}}\n\
         sinks: {{back: {{elastic: {{hosts: ['http://127.0.0.1:{0}'], update: true, install_templates: false}}}}}}\n",
        server.port
    );
    let sites = [Site::new(&settings), Site::new(&settings)];
    let mut planes = sites.each_ref().map(Site::start);
    for plane in &mut planes {
        assert_eq!(plane.wait(), Some(0), "{:?}", plane.log_lines());
    }
    assert_eq!(server.count("back-*"), 1500);
    assert_eq!(server.count("logs-scored-*"), 0, "a document was written beside the one that was read");
    let scored = server.try_get("/back-*/_search?size=1&q=logrisk.risk_label:*").unwrap();
    let total = server.try_get("/back-*/_count?q=_exists_:logrisk.risk_label").unwrap();
    assert_eq!(total["count"], 1500, "{total}");
    let document = &scored["hits"]["hits"][0]["_source"];
    assert_eq!(
        (&document["level"], &document["logrisk"]["label_source"]),
        (&json!("error"), &json!("model"))
    );
    assert!(document["logrisk"]["pattern_id"].is_string(), "{document}");
}

#[test]
fn scores_are_written_back_into_opensearch() {
    scores_are_written_back(&opensearch());
}

#[test]
fn scores_are_written_back_into_elasticsearch() {
    scores_are_written_back(&elasticsearch());
}

/// Elasticsearch from 7.12 on cannot be had from a package registry: what is asked of its point in time is shown by a
/// server that answers as it does.
#[test]
fn a_point_in_time_of_elasticsearch_is_used_and_given_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, asked) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            while let Some((head, body)) = read_request(&mut stream) {
                let request = head.lines().next().unwrap().to_owned();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let hit = |number: i64| json!({"_index": "logs", "_id": number.to_string(), "_source": {"message": "m"}, "sort": [number, 7]});
                let answer = match request.split(' ').nth(1).unwrap() {
                    "/" => json!({"version": {"number": "8.15.0"}}),
                    path if path.starts_with("/logs/_pit") => json!({"id": "first"}),
                    "/_pit" => json!({"succeeded": true}),
                    _ if body["search_after"].is_null() => {
                        json!({"pit_id": "second", "hits": {"hits": [hit(1), hit(2)]}})
                    }
                    _ => json!({"pit_id": "second", "hits": {"hits": []}}),
                };
                let answer = answer.to_string();
                let length = answer.len();
                _ = sender.send((request, body));
                if write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{answer}").is_err() {
                    break;
                }
            }
        }
    });
    let site = Site::new(&format!(
        "sources: {{search: {{elastic: {{hosts: ['http://127.0.0.1:{port}'], index: logs}}}}}}\n\
         sinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n"
    ));
    run_to_its_end(&site);
    assert_eq!(site.documents("out").len(), 2);
    let asked: Vec<(String, Value)> = asked.try_iter().collect();
    let searches: Vec<_> = asked.iter().filter(|(request, _)| request.starts_with("post /_search")).collect();
    assert_eq!(searches.len(), 2, "{asked:?}");
    assert_eq!(
        (&searches[0].1["pit"]["id"], &searches[1].1["pit"]["id"]),
        (&json!("first"), &json!("second"))
    );
    assert_eq!(searches[0].1["sort"][1], json!({"_shard_doc": "asc"}));
    assert_eq!(searches[1].1["search_after"], json!([2, 7]));
    let (request, body) = asked.last().unwrap();
    assert!(request.starts_with("delete /_pit"), "{asked:?}");
    assert_eq!(body["id"], "second");
}

fn python(package: &str, folder: &str, script: &str) {
    let folder = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-tests").join(folder);
    if !folder.exists() {
        let installed = Command::new("python3")
            .args(["-m", "pip", "install", "-q", "--disable-pip-version-check", package, "--target"])
            .arg(&folder)
            .status();
        assert!(installed.unwrap().success(), "pip could not install {package}");
    }
    let status = Command::new("python3").args(["-c", script]).env("PYTHONPATH", &folder).status();
    assert!(status.unwrap().success(), "{script}");
}

/// What the sink wrote, as the clients of both makers see it.
fn clients_read_what_we_write(server: &Server, module: &str, class: &str, package: &str, folder: &str) {
    let site = Site::new(&format!(
        "sources: {{logs: {{tail: {{paths: ['{{dir}}/app.log']}}}}}}\n\
         sinks: {{search: {{elastic: {{hosts: ['http://127.0.0.1:{}'], index: 'read-%Y.%m.%d'}}}}}}\n",
        server.port
    ));
    let lines: String = (1..501)
        .map(|number| {
            format!("2026-01-15T10:30:45Z FATAL data directory {number} corrupted, cannot recover\n")
        })
        .collect();
    fs::write(site.path("app.log"), lines).unwrap();
    let mut plane = site.start();
    server.wait_for("read-2026.01.15", 500);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    python(
        package,
        folder,
        &format!(
            "from {module} import {class}\n\
             from {module}.helpers import scan\n\
             client = {class}(['http://127.0.0.1:{}'])\n\
             query = {{'query': {{'range': {{'risk_label': {{'gte': 7}}}}}}}}\n\
             found = list(scan(client, index='read-*', query=query))\n\
             assert len(found) == 500, len(found)\n\
             one = found[0]['_source']\n\
             assert one['tag'] and one['message'].startswith('2026') and one['record_id'] == found[0]['_id'], one\n\
             assert client.indices.get_index_template(name='logrisk-read')['index_templates']\n\
             mapping = client.indices.get_mapping(index='read-2026.01.15')['read-2026.01.15']['mappings']['properties']\n\
             assert mapping['risk_label']['type'] == 'byte', mapping\n",
            server.port
        ),
    );
}

#[test]
fn opensearch_py_reads_what_we_write() {
    clients_read_what_we_write(
        &opensearch(),
        "opensearchpy",
        "OpenSearch",
        "opensearch-py==2.8.0",
        "opensearch-py",
    );
}

/// Its version 7.13 is the last that asks a server for nothing but its answers.
#[test]
fn elasticsearch_py_reads_what_we_write() {
    clients_read_what_we_write(
        &elasticsearch(),
        "elasticsearch",
        "Elasticsearch",
        "elasticsearch==7.13.4",
        "elasticsearch-py",
    );
}
