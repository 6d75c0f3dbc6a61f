use super::*;

fn settings(channel: Channel) -> AlertSettings {
    AlertSettings { channel, url: String::new(), min_risk: Risk::new(7).unwrap(), routing_key: "key".into() }
}

fn alert(text: &str, risk: u8) -> Alert {
    let risk = Risk::new(risk).unwrap();
    Alert { pattern: PatternId::of("pattern"), text: text.to_owned(), risk, score: 8.25 }
}

#[test]
fn a_pattern_is_told_once_in_ten_minutes_with_a_count() {
    let mut recent = Recent::default();
    let (pattern, begin) = (PatternId::of("pattern"), Instant::now());
    let after = |seconds| begin + Duration::from_secs(seconds);
    assert_eq!(recent.due(pattern, begin), Some(1));
    assert_eq!(recent.due(pattern, after(1)), None);
    assert_eq!(recent.due(pattern, after(599)), None);
    assert_eq!(recent.due(PatternId::of("other"), after(599)), Some(1));
    assert_eq!(recent.due(pattern, after(600)), Some(3));
}

#[test]
fn payloads_have_the_first_seeds_fields() {
    let webhook = payload(&settings(Channel::Webhook), &alert("disk full", 8), 3);
    assert_eq!(webhook["alert_type"], "high_risk_log");
    assert_eq!(webhook["risk_label"], 8);
    assert_eq!(webhook["risk_score"], 8.25);
    assert_eq!(webhook["risk_level"], "critical");
    assert_eq!(webhook["message"], "disk full");
    assert_eq!(webhook["count"], 3);

    let pager = payload(&settings(Channel::PagerDuty), &alert("disk full", 9), 1);
    assert_eq!(pager["routing_key"], "key");
    assert_eq!(pager["event_action"], "trigger");
    assert_eq!(pager["payload"]["severity"], "critical");
    assert_eq!(pager["payload"]["source"], "k8s-log-scorer");
    assert_eq!(pager["payload"]["summary"], "High Risk Log: critical (score: 9)");
    assert_eq!(pager["payload"]["custom_details"]["message"], "disk full");
    assert_eq!(pager["dedup_key"], format!("logrisk-{}", PatternId::of("pattern")));

    let slack = payload(&settings(Channel::Slack), &alert("<!channel> ```", 7), 1);
    assert_eq!(slack["attachments"][0]["color"], "#FFA500");
    let quoted = slack["attachments"][0]["blocks"][2]["text"]["text"].as_str().unwrap();
    assert!(quoted.contains("&lt;!channel&gt; '''"), "{quoted}");

    let discord = payload(&settings(Channel::Discord), &alert(&"x".repeat(900), 10), 1);
    assert_eq!(discord["embeds"][0]["color"], 0xFF_0000);
    let quoted = discord["embeds"][0]["fields"][3]["value"].as_str().unwrap();
    assert_eq!(quoted.len(), 500 + 3 + 6);
}
