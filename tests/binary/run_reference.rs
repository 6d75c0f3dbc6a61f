//! The reference of the settings of `logrisk run`, made of the comments at the settings themselves.

use std::fs;

use crate::common::repository;

/// Heading, file and struct of each section, in order.
const SECTIONS: [(&str, &str, &str); 22] = [
    ("run", "crates/app/commands/run/settings.rs", "RunSettings"),
    ("sources: `tail`", "crates/collect/src/tail.rs", "TailSettings"),
    ("sources: `http`", "crates/collect/src/http.rs", "HttpSettings"),
    ("sources: `forward`", "crates/collect/src/forward.rs", "ForwardSettings"),
    ("sources: `docker`", "crates/collect/src/docker.rs", "DockerSettings"),
    ("sources: `elastic`", "crates/collect/src/elastic.rs", "ElasticSettings"),
    ("sources: `journald`", "crates/collect/src/journald.rs", "JournaldSettings"),
    ("sources: `kafka`", "crates/collect/src/kafka.rs", "KafkaSettings"),
    ("sources: `otlp`", "crates/collect/src/otlp.rs", "OtlpSettings"),
    ("sources: `syslog`", "crates/collect/src/syslog.rs", "SyslogSettings"),
    ("`tls` of sources", "crates/tls/src/lib.rs", "TlsFiles"),
    ("`buffer` of sources", "crates/collect/src/buffer.rs", "BufferSettings"),
    ("sinks: `elastic`", "crates/sink/src/elastic.rs", "ElasticSettings"),
    ("sinks: `kafka`", "crates/sink/src/kafka.rs", "KafkaSettings"),
    ("`tls` of `kafka`", "crates/client/src/kafka.rs", "KafkaTls"),
    ("`sasl` of `kafka`", "crates/client/src/kafka.rs", "KafkaSasl"),
    ("sinks: `file`", "crates/sink/src/lines.rs", "FileSettings"),
    ("sinks: `snapshot`", "crates/sink/src/snapshot.rs", "SnapshotSettings"),
    ("sinks: `otlp`", "crates/sink/src/otlp.rs", "OtlpSettings"),
    ("sinks: `prometheus`", "crates/sink/src/prometheus.rs", "PrometheusSettings"),
    ("routes", "crates/app/commands/run/routes.rs", "RouteSettings"),
    ("log", "crates/app/commands/run/settings.rs", "LogSettings"),
];

/// The lines between a line that begins so and the next `}` at the margin.
fn block<'a>(source: &'a str, begin: &str) -> Vec<&'a str> {
    let lines = source.lines().skip_while(|line| !line.contains(begin)).skip(1);
    lines.take_while(|line| *line != "}").map(str::trim).collect()
}

/// The value in an expression of Rust, as YAML would say it.
fn literal(expression: &str) -> String {
    if let Some(text) = expression.split('"').nth(1) {
        return text.to_owned();
    }
    match expression.trim().trim_end_matches(',') {
        "Risk::MIN" => "0".to_owned(),
        "Risk::MAX" => "10".to_owned(),
        "None" => String::new(),
        other => {
            let inner = other.rsplit("::").next().unwrap().trim_end_matches(')');
            inner.rsplit('(').next().unwrap().trim_end_matches(".0").to_lowercase()
        }
    }
}

/// One line of the table for each field.
fn rows(source: &str, name: &str) -> String {
    let defaults = block(source, &format!("impl Default for {name} "));
    let (mut comment, mut default, mut rows) = (Vec::new(), None, String::new());
    for line in block(source, &format!("pub struct {name} {{")) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
        } else if let Some(rest) = line.strip_prefix("#[serde(default = \"") {
            let function = rest.split('"').next().unwrap();
            default = Some(literal(block(source, &format!("fn {function}() ->"))[0]));
        } else if line == "#[serde(default)]" {
            default = Some(String::new());
        } else if let Some((field, kind)) =
            line.trim_start_matches("pub ").split_once(": ").filter(|_| line.ends_with(','))
        {
            if let Some(own) = defaults.iter().find_map(|line| line.strip_prefix(&format!("{field}: "))) {
                default = Some(literal(own));
            }
            let default = match default.take() {
                Some(value) if value.is_empty() => String::new(),
                Some(value) => format!("`{value}`"),
                None if kind.starts_with("Option") => String::new(),
                None => "required".to_owned(),
            };
            rows.push_str(&format!("| `{field}` | {default} | {} |\n", comment.join(" ")));
            comment.clear();
        }
    }
    rows
}

/// `UPDATE_REFERENCE=1 cargo test --test binary reference` writes the file anew.
#[test]
fn the_settings_reference_is_up_to_date() {
    let mut text = "# Settings of `logrisk run`\n\nGenerated from the code; `UPDATE_REFERENCE=1 cargo test --test binary reference` writes it anew. \
        Sources and sinks are maps from names of your own to one kind with its settings; `stdin` and `stdout` have none. A secret is \
        `{env: NAME}` or `{file: PATH}`.\n"
        .to_owned();
    for (heading, file, name) in SECTIONS {
        let source = fs::read_to_string(repository(file)).unwrap();
        let rows = rows(&source, name);
        assert!(!rows.is_empty(), "{name}");
        text.push_str(&format!("\n## {heading}\n| setting | default | meaning |\n|---|---|---|\n{rows}"));
    }
    let path = repository("docs/reference/settings.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "the reference is stale");
}
