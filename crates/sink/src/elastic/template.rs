//! What the cluster must know before the first document: how fields are mapped, and when indices are deleted.

use logrisk_client::elastic::{Client, Method, StatusCode, unavailable};
use serde_json::{Value, json};

use super::ElasticSettings;
use crate::SinkError;

/// Higher than that of the templates that come with Elasticsearch for `logs-*-*` (100).
const PRIORITY: u32 = 500;

/// Installs life cycle and templates; those that are there are replaced.
pub(super) async fn install(client: &Client, settings: &ElasticSettings) -> Result<(), SinkError> {
    let server = client.server().await?;
    let mut names =
        vec![(settings.data_stream.as_deref().unwrap_or(&settings.index), settings.data_stream.is_some())];
    names.extend(settings.risky_index.as_deref().map(|index| (index, false)));
    let patterns: Vec<String> = names.iter().map(|(name, _)| wildcard(name)).collect();
    let policy = format!("logrisk-{}d", settings.keep_days);
    let managed =
        install_policy(client, server.is_opensearch, &policy, settings.keep_days, &patterns).await?;
    for ((name, is_stream), pattern) in names.iter().zip(&patterns) {
        let lifecycle = (managed && !server.is_opensearch).then_some(policy.as_str());
        let template = template(pattern, *is_stream, lifecycle);
        let path = format!("/_index_template/logrisk-{}", plain(name));
        let (status, text) = client.json(Method::PUT, &path, &template).await?;
        if !status.is_success() {
            return Err(unavailable(status, &text).into());
        }
    }
    tracing::info!(
        version = server.version,
        opensearch = server.is_opensearch,
        ?patterns,
        "index templates are installed"
    );
    Ok(())
}

/// Installs the life cycle; `false` where the cluster has none to offer.
async fn install_policy(
    client: &Client,
    is_opensearch: bool,
    policy: &str,
    keep_days: u32,
    patterns: &[String],
) -> Result<bool, SinkError> {
    let age = format!("{keep_days}d");
    let (path, body) = if is_opensearch {
        let body = json!({"policy": {
            "description": "logrisk: indices are deleted when they are old",
            "default_state": "kept",
            "states": [
                {"name": "kept", "actions": [], "transitions": [{"state_name": "deleted", "conditions": {"min_index_age": age}}]},
                {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
            ],
            "ism_template": [{"index_patterns": patterns, "priority": PRIORITY}],
        }});
        (format!("/_plugins/_ism/policies/{policy}"), body)
    } else {
        let delete = json!({"min_age": age, "actions": {"delete": {}}});
        (
            format!("/_ilm/policy/{policy}"),
            json!({"policy": {"phases": {"hot": {"actions": {}}, "delete": delete}}}),
        )
    };
    let (status, text) = client.json(Method::PUT, &path, &body).await?;
    match status {
        // OpenSearch answers 409 for a policy that is there.
        status if status.is_success() || status == StatusCode::CONFLICT => Ok(true),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            tracing::warn!(%status, "the cluster has no index life cycles; delete old indices yourself");
            Ok(false)
        }
        _ => Err(unavailable(status, &text).into()),
    }
}

fn template(pattern: &str, is_stream: bool, lifecycle: Option<&str>) -> Value {
    let keyword = json!({"type": "keyword", "ignore_above": 1024});
    let mut template = json!({
        "index_patterns": [pattern],
        "priority": PRIORITY,
        "_meta": {"managed_by": "logrisk"},
        "template": {
            "settings": {"index.refresh_interval": "5s", "index.mapping.total_fields.limit": 2000},
            "mappings": {
                "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": keyword}}],
                "properties": {
                    "@timestamp": {"type": "date"},
                    "message": {"type": "text", "norms": false},
                    "log": {"properties": {"level": keyword, "offset": {"type": "long"}, "file": {"properties": {"path": keyword}}}},
                    "risk_label": {"type": "byte"},
                    "risk_score": {"type": "half_float"},
                    "risk_interval": {"type": "byte"},
                    "unsure": {"type": "boolean"},
                    "novel": {"type": "boolean"},
                    "level": keyword,
                    "tag": keyword,
                    "pattern_id": keyword,
                    "model_version": keyword,
                    "label_source": keyword,
                    "record_id": keyword,
                    "sample_rate": {"type": "integer"},
                },
            },
        },
    });
    if is_stream && let Some(members) = template.as_object_mut() {
        members.insert("data_stream".to_owned(), json!({}));
    }
    if let Some(policy) = lifecycle
        && let Some(settings) = template.pointer_mut("/template/settings").and_then(Value::as_object_mut)
    {
        settings.insert("index.lifecycle.name".to_owned(), policy.into());
    }
    template
}

/// `logs-scored-%Y.%m.%d` is `logs-scored-*`.
fn wildcard(name: &str) -> String {
    name.split_once('%').map_or_else(|| name.to_owned(), |(begin, _)| format!("{begin}*"))
}

/// The part of a name that does not change.
fn plain(name: &str) -> &str {
    name.split_once('%').map_or(name, |(begin, _)| begin).trim_end_matches(['-', '.', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_covers_the_indices_of_all_days() {
        assert_eq!(
            (wildcard("logs-scored-%Y.%m.%d"), plain("logs-scored-%Y.%m.%d")),
            ("logs-scored-*".to_owned(), "logs-scored")
        );
        assert_eq!((wildcard("logs"), plain("logs")), ("logs".to_owned(), "logs"));
        let template = template("logs-*", true, Some("logrisk-30d"));
        assert_eq!(template["template"]["settings"]["index.lifecycle.name"], "logrisk-30d");
        assert!(template["data_stream"].is_object());
    }
}
