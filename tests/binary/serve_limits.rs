//! Hostile and broken requests: each gets its status and a stable code, quickly, and the server goes on.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::server::{PATIENCE, Server};

const JSON: (&str, &str) = ("content-type", "application/json");

fn alive(server: &Server) {
    let answer = server.post("/predict", &json!({"log": "INFO still here"}));
    assert_eq!(answer.status, 200, "{}", answer.text);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bodies_are_bounded_as_sent_and_as_decompressed() {
    let server = Server::start(&["--body-mebibytes", "2"]);
    let announced = server.raw(b"POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\n\r\n");
    assert!(announced.starts_with("HTTP/1.1 413") && announced.contains("body_too_large"), "{announced}");

    let mut chunked = b"POST /ingest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..48 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend(std::iter::repeat_n(b'x', 0x10000));
        chunked.extend_from_slice(b"\r\n");
    }
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    _ = stream.write_all(&chunked);
    let mut start = [0; 12];
    // The answer, or a reset since the server reads no further: both end it.
    if stream.read_exact(&mut start).is_ok() {
        assert_eq!(&start, b"HTTP/1.1 413");
    }

    let bomb = gzip(&vec![b'x'; 100 << 20]);
    let text = ("content-type", "text/plain");
    let answer = server.send("/ingest", &[text, ("content-encoding", "gzip")], &bomb);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (413, Some("body_too_large")));
    let bomb = zstd::encode_all(&vec![b'x'; 100 << 20][..], 3).unwrap();
    let answer = server.send("/ingest", &[text, ("content-encoding", "zstd")], &bomb);
    assert_eq!(answer.status, 413);
    let answer = server.send("/ingest", &[text, ("content-encoding", "gzip")], b"no gzip at all");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("body_broken")));

    let small = gzip(b"ERROR disk full\n");
    assert_eq!(server.send("/ingest", &[text, ("content-encoding", "gzip")], &small).json()["records"], 1);
    let small = zstd::encode_all(&b"{\"log\": \"ERROR disk full\"}"[..], 3).unwrap();
    assert_eq!(server.send("/predict", &[JSON, ("content-encoding", "zstd")], &small).status, 200);
    alive(&server);
}

#[test]
fn what_is_no_json_and_no_text_is_named() {
    let server = Server::start(&[]);
    let deep = "[".repeat(100_000);
    for body in [&b""[..], b"{\"log\": \"\xff\xfe\"}", b"nul", b"{\"log\": \"a\"} trailing", deep.as_bytes()]
    {
        let answer = server.send("/predict", &[JSON], body);
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.json()["detail"][0]["type"], "json_invalid");
    }
    let form = server.send(
        "/predict",
        &[("content-type", "application/x-www-form-urlencoded")],
        b"{\"log\": \"a\"}",
    );
    assert_eq!((form.status, form.json()["code"].as_str()), (415, Some("media_type_unsupported")));
    let encoded = server.send("/predict", &[JSON, ("content-encoding", "br")], b"{}");
    assert_eq!((encoded.status, encoded.json()["code"].as_str()), (415, Some("encoding_unsupported")));
    let html = server.send("/ingest", &[("content-type", "text/html")], b"<p>");
    assert_eq!(html.status, 415);
    let utf16 = server.send("/ingest", &[("content-type", "text/plain")], b"\xff\xfeE\0R\0R\0");
    assert_eq!(utf16.status, 415);
    let bytes = server.send("/ingest", &[("content-type", "text/plain")], b"ERROR \xff\xc3 broken\n\n\0\n");
    assert_eq!(bytes.json()["records"], 2, "{}", bytes.text);
    alive(&server);
}

#[test]
fn hostile_lines_come_back_as_data() {
    let server = Server::start(&[]);
    let lines = [
        "<script>alert(1)</script> failed",
        "\u{1b}[31mred\u{1b}[0m",
        "gnp.\u{202e}exe",
        "\u{0}\u{7f}\u{200b}",
        "a\"b\\c",
        &"x".repeat(1 << 20),
    ];
    for line in lines {
        let answer = server.post("/predict", &json!({"log": line}));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    server.ingest(lines[0]);
    let page = server.get("/patterns");
    assert_eq!(page.json()["patterns"][0]["sample"], lines[0]);
    assert_eq!(page.header("content-type"), Some("application/json"));
    for path in ["/patterns/<script>", "/<script>", "/patterns?sort=<script>"] {
        let text =
            server.raw(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(!text.to_lowercase().contains("content-type: text/html"), "{text}");
    }
}

#[test]
fn slow_and_silent_clients_are_let_go() {
    let server = Server::start(&["--header-timeout-secs", "1", "--request-timeout-secs", "1"]);
    let began = Instant::now();
    for bytes in [&b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Slow: "[..], b"", b"\x16\x03\x01 not http"] {
        server.raw(bytes);
    }
    let body = server.raw(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{\"log\"");
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("body_timeout"), "{body}");
    assert!(began.elapsed() < PATIENCE);

    let mut headers = String::from("GET /livez HTTP/1.1\r\nHost: a\r\n");
    headers.push_str(&format!("X-Large: {}\r\n\r\n", "x".repeat(200 << 10)));
    let refused = server.raw(headers.as_bytes());
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
    let many = "X-Many: 1\r\n".repeat(1000);
    let refused = server.raw(format!("GET /livez HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes());
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");

    // Half closed after half a request, and after a whole one.
    for bytes in [&b"POST /predict HTTP/1.1\r\n"[..], b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        _ = stream.read_to_end(&mut Vec::new());
    }
    alive(&server);
}

#[test]
fn overload_is_refused_at_once_with_a_time_to_come_back() {
    let server = Server::start(&["--queue-lines", "1", "--threads", "1"]);
    let words = ["disk", "lease", "shard", "fan", "quota", "token", "replica", "socket"];
    let statuses: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let server = &server;
                scope.spawn(move || {
                    let logs: Vec<String> = (0..256)
                        .map(|line| {
                            let word = |place: usize| words[(line >> (3 * place)) % 8];
                            format!("ERROR {} of {} {} {} failed", words[client], word(0), word(1), word(2))
                        })
                        .collect();
                    let began = Instant::now();
                    let answer = server.post("/predict/batch", &json!({"logs": logs}));
                    if answer.status == 429 {
                        assert_eq!(answer.json()["code"], "queue_full");
                        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
                        assert!(began.elapsed() < Duration::from_secs(20));
                    }
                    answer.status
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    server.wait_until("the queue is empty", || server.get("/metrics").text.contains("logrisk_queue_lines 0"));
    alive(&server);
}

#[test]
fn a_thousand_connections_cost_little_and_hold_nobody_up() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let server = Server::start(&["--header-timeout-secs", "60"]);
    let before = server.resident_megabytes();
    // Half of them never finish their headers, half ask.
    let held: Vec<TcpStream> = (0..1000)
        .map(|number| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            if number % 2 == 0 {
                stream.write_all(b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Slow: ").unwrap();
            } else {
                let word =
                    |place: usize| ["disk", "fan", "lease", "shard"][((number / 2) >> (2 * place)) & 3];
                let words: Vec<&str> = (0..5).map(word).collect();
                let body = json!({"log": format!("ERROR {} failed", words.join(" "))}).to_string();
                let head =
                    "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length";
                write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
            }
            stream
        })
        .collect();
    let began = Instant::now();
    alive(&server);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for mut stream in held.iter().skip(1).step_by(2) {
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert!(&start == b"HTTP/1.1 200" || &start == b"HTTP/1.1 429", "{start:?}");
    }
    let resident = server.resident_megabytes();
    assert!(resident <= 200, "{before} MB became {resident} MB");
}

#[test]
fn bodies_that_are_held_back_are_bounded_together() {
    let server = Server::start(&["--bodies-mebibytes", "32"]);
    let megabyte = vec![b'x'; 1 << 20];
    let held: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            _ = stream.write_all(b"POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
            // The server may have refused already.
            _ = stream.write_all(&megabyte);
            stream
        })
        .collect();
    server.wait_until("most are refused", || {
        let text = server.get("/metrics").text;
        let refused = text.lines().find_map(|line| {
            line.strip_prefix(
                "logrisk_http_requests_total{route=\"/ingest\",method=\"POST\",status=\"429\"} ",
            )
        });
        refused.is_some_and(|count| count.parse::<u64>().unwrap() >= 60)
    });
    assert!(server.resident_megabytes() <= 200, "{} MB", server.resident_megabytes());
    drop(held);
    server.wait_until("there is room again", || {
        server.send("/ingest", &[("content-type", "text/plain")], &megabyte).status == 200
    });
}
