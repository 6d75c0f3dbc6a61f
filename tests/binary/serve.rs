//! The API as both older servers' clients know it, and what is new in it.
//!
//! The first part is the first seed's own test file (its tests/test_api.py), assertion by assertion; where it asks for a
//! range of risks, a neighbouring risk will do, since the two models do not read one scale.

use serde_json::{Value, json};

use crate::server::Server;

const LEVELS: [&str; 11] = [
    "trace",
    "debug",
    "info",
    "notice",
    "warning",
    "warning",
    "error",
    "error",
    "critical",
    "critical",
    "emergency",
];

fn predict(server: &Server, log: &str) -> Value {
    let answer = server.post("/predict", &json!({"log": log}));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[test]
fn the_first_seeds_contract_holds() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/health").json(), json!({"status": "healthy", "model_loaded": true}));

    for (log, range) in [
        ("INFO nginx started successfully", 1..=3),
        ("ERROR kernel panic - not syncing: VFS", 8..=10),
        ("DEBUG entering function processRequest", 0..=2),
        ("TRACE entering function", 0..=1),
        ("INFO nginx started", 1..=3),
        ("WARNING disk space low", 3..=6),
        ("ERROR connection refused", 5..=8),
        ("CRITICAL OOMKilled", 8..=10),
        ("FATAL kernel panic", 9..=10),
    ] {
        let answer = predict(&server, log);
        let risk = answer["risk_label"].as_u64().unwrap();
        let near = [risk.saturating_sub(1), risk, risk + 1];
        assert!(near.iter().any(|risk| range.contains(risk)), "{log}: {answer}");
        assert_eq!(answer["level"], LEVELS[risk as usize]);
        let score = answer["risk_score"].as_f64().unwrap();
        assert!((score - risk as f64).abs() <= 0.51, "{answer}");
    }
    let raw = server.post("/predict", &json!({"log": "error something failed", "preprocess": false}));
    assert_eq!(raw.status, 200);

    let logs = ["INFO nginx GET /health 200", "ERROR connection refused", "CRITICAL OOMKilled container"];
    let batch = server.post("/predict/batch", &json!({"logs": logs, "preprocess": true}));
    assert_eq!(batch.status, 200);
    let batch = batch.json();
    assert_eq!((&batch["count"], batch["results"].as_array().unwrap().len()), (&json!(3), 3));
    for (log, result) in logs.iter().zip(batch["results"].as_array().unwrap()) {
        assert_eq!(*result, predict(&server, log), "a batch says what single requests say");
    }
    let empty = server.post("/predict/batch", &json!({"logs": []}));
    assert_eq!(empty.json(), json!({"results": [], "count": 0}));
    let hundred = server.post("/predict/batch", &json!({"logs": vec!["INFO test message"; 100]}));
    assert_eq!(hundred.json()["count"], 100);
    // A client of the seed that sends no Content-Type at all was answered too.
    assert_eq!(server.send("/predict", &[], b"{\"log\": \"a\"}").status, 200);
}

#[test]
fn the_second_seeds_contract_holds() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/healthz").status, 200);
    let answer = server.post("/predict", &json!({"message": "An error occurred"})).json();
    assert_eq!(answer["label"], answer["tag"]);
    assert!(["DEBUG", "INFO", "WARN", "ERROR", "EXCEPTION"].contains(&answer["label"].as_str().unwrap()));
    let confidence = answer["confidence"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&confidence), "{answer}");
    let same = predict(&server, "An error occurred");
    assert_eq!(same["risk_label"], answer["risk_label"]);
    assert!(same.get("label").is_none() && same.get("confidence").is_none());
}

#[test]
fn validation_errors_have_fastapis_shape() {
    let server = Server::start(&[]);
    let check = |path: &str, body: &str, loc: Value, kind: &str| {
        let answer = server.send(path, &[("content-type", "application/json")], body.as_bytes());
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        let detail = &answer.json()["detail"][0];
        assert_eq!((&detail["loc"], detail["type"].as_str().unwrap()), (&loc, kind), "{body}: {detail}");
        assert!(detail["msg"].is_string());
    };
    check("/predict", "{}", json!(["body", "log"]), "missing");
    check("/predict", "{\"log\": 7}", json!(["body", "log"]), "string_type");
    check(
        "/predict",
        "{\"log\": \"a\", \"preprocess\": \"maybe\"}",
        json!(["body", "preprocess"]),
        "bool_type",
    );
    check("/predict", "[]", json!(["body"]), "dict_type");
    check("/predict", "{\"log\": ", json!(["body", 8]), "json_invalid");
    check("/predict/batch", "{}", json!(["body", "logs"]), "missing");
    check("/predict/batch", "{\"logs\": \"a\"}", json!(["body", "logs"]), "list_type");
    check("/predict/batch", "{\"logs\": [\"a\", 7]}", json!(["body", "logs", 1]), "string_type");
    check("/feedback", "{\"log\": \"a\"}", json!(["body", "risk_label"]), "missing");
    check(
        "/feedback",
        "{\"log\": \"a\", \"risk_label\": 11}",
        json!(["body", "risk_label"]),
        "less_than_equal",
    );
    check(
        "/feedback",
        "{\"log\": \"a\", \"risk_label\": 1, \"tag\": \"LOUD\"}",
        json!(["body", "tag"]),
        "value_error",
    );
    check("/feedback", "{\"risk_label\": 1}", json!(["body", "log"]), "missing");
    let many = json!({"logs": vec![""; 10_001]}).to_string();
    check("/predict/batch", &many, json!(["body", "logs"]), "too_long");
    for wrong in ["/patterns?min_risk=11", "/patterns?limit=501", "/patterns?tag=LOUD", "/series?seconds=9"] {
        assert_eq!(server.get(wrong).status, 422, "{wrong}");
    }
    assert_eq!(server.get("/patterns?sort=loudest").status, 422);
}

#[test]
fn details_come_when_asked_for() {
    let server = Server::start(&[]);
    let request = json!({"log": "ERROR disk full on /dev/sda1", "probabilities": true, "explain": true});
    let answer = server.post("/predict", &request).json();
    let shares = answer["probabilities"].as_array().unwrap();
    assert_eq!(shares.len(), 11);
    let sum: f64 = shares.iter().map(|share| share.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 0.01, "{sum}");
    let interval: Vec<u64> = serde_json::from_value(answer["risk_interval"].clone()).unwrap();
    let risk = answer["risk_label"].as_u64().unwrap();
    assert!(interval[0] <= risk && risk <= interval[1] && interval.len() == 2, "{answer}");
}

#[test]
fn explanations_weigh_words_and_name_what_is_near() {
    let server = Server::start(&[]);
    let explain = |log: &str| server.post("/predict", &json!({"log": log, "explain": true})).json();
    let why = explain("ERROR disk full on /dev/sda1")["explanation"].clone();
    assert_eq!((&why["decided_by"], &why["level"]), (&json!("model"), &json!("error")));
    assert!(why["masked"].as_str().unwrap().contains("disk full"), "{why}");
    let words = why["words"].as_array().unwrap();
    assert!(words.iter().any(|word| word["word"] == "full" && word["effect"].is_f64()), "{why}");
    assert_eq!(why["nearest"].as_array().unwrap().len(), 3, "{why}");

    // From the cache and in a batch the reasons are the same.
    let logs = ["ERROR disk full on /dev/sdb7", "17 42 99", "INFO worker 7 started"];
    server.post("/feedback", &json!({"log": logs[2], "risk_label": 6}));
    let batch = server.post("/predict/batch", &json!({"logs": logs, "explain": true})).json();
    assert_eq!(batch["results"][0]["explanation"], why);
    assert_eq!(batch["results"][1]["explanation"], explain(logs[1])["explanation"]);
    let corrected = &batch["results"][2]["explanation"];
    assert_eq!((&corrected["decided_by"], corrected.get("words")), (&json!("human"), None));
    assert!(batch["results"][0]["explanation"]["words"].is_array());
    assert!(server.post("/predict", &json!({"log": logs[0]})).json().get("explanation").is_none());
    let many = json!({"logs": vec!["a"; 101], "explain": true});
    assert_eq!(server.post("/predict/batch", &many).status, 422);
}

#[test]
fn doubt_is_told_wherever_a_risk_is() {
    let server = Server::start(&[]);
    let log = "17 42 99";
    let answer = predict(&server, log);
    assert_eq!((&answer["unsure"], answer["risk_interval"].as_array().unwrap().len()), (&json!(true), 2));
    assert!(predict(&server, "ERROR disk full on /dev/sda1").get("unsure").is_none());
    server.ingest(&format!("{log}\nERROR disk full on /dev/sda1\n"));
    let page = server.get("/patterns?q=full").json();
    let sure = &page["patterns"][0];
    assert_eq!((&sure["unsure"], sure["model_interval"].as_array().unwrap().len()), (&json!(false), 2));
    let id = answer["pattern_id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/patterns/{id}")).json()["unsure"], true);
    assert!(server.get("/metrics").text.contains("logrisk_unsure_lines_total 2\n"));

    // A person who has decided is not in doubt.
    server.post("/feedback", &json!({"log": log, "risk_label": 1}));
    let corrected = predict(&server, log);
    assert!(corrected.get("unsure").is_none() && corrected.get("risk_interval").is_none(), "{corrected}");
    assert_eq!(server.get(&format!("/patterns/{id}")).json()["unsure"], false);
}

#[test]
fn ingested_lines_become_patterns() {
    let server = Server::start(&[]);
    let lines = "ERROR disk full on /dev/sda1\nINFO request 1 served\nINFO request 22 served\n\
                 java.lang.IllegalStateException: pool exhausted\n\tat com.shop.Orders.save(Orders.java:12)\n";
    let answer = server.ingest(lines);
    assert_eq!((&answer["records"], &answer["new_patterns"]), (&json!(4), &json!(3)), "{answer}");
    assert_eq!(server.ingest(lines)["new_patterns"], 0);

    let page = server.get("/patterns").json();
    assert_eq!(page["total"], 3);
    let risks: Vec<u64> =
        page["patterns"].as_array().unwrap().iter().map(|row| row["risk_label"].as_u64().unwrap()).collect();
    assert!(risks.is_sorted_by(|left, right| left >= right), "{risks:?}");
    let first = &page["patterns"][0];
    assert_eq!((&first["novel"], &first["sources"][0]["source"]), (&json!(true), &json!("test")));
    let counted = server.get("/patterns?sort=count&limit=1").json();
    assert_eq!((&counted["patterns"][0]["count"], &counted["next_offset"]), (&json!(4), &json!(1)));
    let found = server.get("/patterns?q=DISK").json();
    assert_eq!(found["total"], 1);

    let id = found["patterns"][0]["pattern_id"].as_str().unwrap();
    let detail = server.get(&format!("/patterns/{id}")).json();
    assert_eq!(detail["samples"][0]["text"], "ERROR disk full on /dev/sda1");
    assert_eq!(server.get("/patterns/0000000000000000").status, 404);
    assert_eq!(server.get("/patterns/nothing").status, 404);

    let new = || server.get("/patterns?state=new").json()["total"].as_u64().unwrap();
    assert_eq!(new(), 3);
    let acknowledge = format!("/patterns/{id}/ack");
    assert_eq!(server.send(&acknowledge, &[], b"").status, 200);
    assert_eq!(new(), 2);
    assert_eq!(server.post(&acknowledge, &json!({"acknowledged": false})).status, 200);
    assert_eq!(new(), 3);
    assert_eq!(server.send(&format!("/patterns/{id}/silence"), &[], b"").status, 200);
    assert_eq!(server.get("/patterns").json()["total"], 2);
    assert_eq!(server.get("/patterns?state=silenced").json()["total"], 1);

    let series = server.get("/series?seconds=900&buckets=90").json();
    let buckets = series["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 90);
    assert_eq!(buckets.iter().map(|bucket| bucket["lines"].as_u64().unwrap()).sum::<u64>(), 8);

    let objects = "{\"level\":\"error\",\"msg\":\"disk full\"}\n{\"level\":\"info\",\"msg\":\"ok\"}\n";
    let answer = server.send("/ingest", &[("content-type", "application/x-ndjson")], objects.as_bytes());
    assert_eq!(answer.json()["records"], 2);
}

#[test]
fn patterns_are_asked_for_by_time_and_by_what_teaches_most() {
    let server = Server::start(&[]);
    server.ingest("ERROR disk full\nINFO started\nERROR x\n");
    let total = |query: &str| server.get(&format!("/patterns?{query}")).json()["total"].as_u64().unwrap();
    assert_eq!((total(""), total("first_window=60"), total("from=0&to=4102444800")), (3, 3, 3));
    assert_eq!((total("from=4102444800"), total("to=1000")), (0, 0));
    let widths: Vec<_> = server.get("/patterns?sort=unsure").json()["patterns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["model_interval"][1].as_u64().unwrap() - row["model_interval"][0].as_u64().unwrap())
        .collect();
    assert!(widths.is_sorted_by(|one, other| one >= other) && widths[0] > widths[2], "{widths:?}");
    for wrong in ["from=99999999999999", "first_window=99999999", "sort=best"] {
        assert_eq!(server.get(&format!("/patterns?{wrong}")).status, 422, "{wrong}");
    }
}

#[test]
fn a_correction_holds_from_the_next_line_on_until_it_is_revoked() {
    let server = Server::start(&[]);
    let log = "ERROR payment worker 17 lost its lease";
    let before = predict(&server, log);
    assert_eq!(before["label_source"], "model");
    let made =
        server.post("/feedback", &json!({"log": log, "risk_label": 3, "tag": "INFO", "comment": "planned"}));
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!((&made["was"], &made["active"]), (&before["risk_label"], &json!(true)));

    let after = predict(&server, "ERROR payment worker 18 lost its lease");
    assert_eq!(
        (&after["risk_label"], &after["risk_score"], &after["level"], &after["tag"], &after["label_source"]),
        (&json!(3), &json!(3.0), &json!("notice"), &json!("INFO"), &json!("human"))
    );
    assert_eq!(server.ingest(&format!("{log}\n"))["by_risk"][3], 1);
    assert_eq!(server.get("/feedback").json()["active"], 1);
    let id = made["pattern_id"].as_str().unwrap();
    let again = server.post("/feedback", &json!({"pattern_id": id, "risk_label": 9})).json();
    assert_eq!((&predict(&server, log)["risk_label"], &again["was"]), (&json!(9), &json!(3)));

    assert_eq!(server.delete(&format!("/feedback/{}", again["id"])).status, 200);
    assert_eq!(predict(&server, log)["risk_label"], before["risk_label"]);
    let listed = server.get("/feedback").json();
    assert_eq!((&listed["active"], listed["corrections"].as_array().unwrap().len()), (&json!(0), 2));
    assert_eq!(server.delete("/feedback/99").status, 404);
    assert_eq!(
        server.post("/feedback", &json!({"pattern_id": "0000000000000000", "risk_label": 1})).status,
        404
    );
    let past = json!({"log": log, "risk_label": 1, "expires": "2020-01-01T00:00:00Z"});
    assert_eq!(server.post("/feedback", &past).status, 422);
}

#[test]
fn secrets_are_taken_out_before_anything_is_kept() {
    let server = Server::start(&[]);
    server.ingest("ERROR login failed password=hunter2secret\n");
    server.post("/feedback", &json!({"log": "ERROR login failed password=hunter2secret", "risk_label": 5}));
    for path in ["/patterns", "/feedback", "/metrics"] {
        let text = server.get(path).text;
        assert!(!text.contains("hunter2secret"), "{path}: {text}");
    }
}

#[test]
fn the_server_describes_itself() {
    let server = Server::start(&[]);
    let document = server.get("/openapi.json").json();
    for path in [
        "/predict",
        "/predict/batch",
        "/ingest",
        "/stream",
        "/patterns",
        "/patterns/{id}",
        "/feedback",
        "/feedback/{id}",
        "/patterns/{id}/ack",
        "/patterns/{id}/silence",
        "/series",
        "/models",
        "/models/{version}/activate",
        "/models/reload",
        "/health",
        "/healthz",
        "/livez",
        "/readyz",
        "/metrics",
        "/version",
    ] {
        assert!(document["paths"].get(path).is_some(), "{path} is not described");
    }
    let docs = server.get("/docs/");
    assert_eq!(docs.status, 200);
    assert!(docs.text.contains("swagger-ui") && !docs.text.contains("https://"), "{}", docs.text);
    assert_eq!(server.get("/docs/swagger-ui-bundle.js").status, 200);

    predict(&server, "INFO started");
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for name in [
        "logrisk_http_requests_total{route=\"/predict\",method=\"POST\",status=\"200\"} 1",
        "logrisk_ready 1",
        "logrisk_lines_total{",
        "logrisk_model_info{version=",
        "logrisk_queue_lines 0",
        "# EOF",
    ] {
        assert!(metrics.text.contains(name), "{name} is not in {}", metrics.text);
    }
    assert_eq!(server.get("/version").json()["name"], "logrisk");
    let missing = server.get("/nowhere");
    assert_eq!((missing.status, missing.json()["code"].as_str()), (404, Some("not_found")));
    assert_eq!(server.get("/predict").status, 405);
    for header in ["x-request-id", "x-content-type-options", "content-security-policy"] {
        assert!(missing.header(header).is_some(), "{header}");
    }
    assert_eq!(
        server.get_with("/livez", &[("x-request-id", "mine-7")]).header("x-request-id"),
        Some("mine-7")
    );
}
