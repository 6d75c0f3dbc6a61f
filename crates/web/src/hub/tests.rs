use jiff::Timestamp;
use logrisk_base::PatternId;

use super::*;

fn row(text: &str, risk: u8, novel: bool) -> LineRow {
    LineRow {
        pattern_id: PatternId::of(text),
        risk_label: risk,
        risk_score: f64::from(risk),
        level: "info",
        tag: "INFO",
        novel,
        unsure: false,
        label_source: "model",
        count: 1,
        first_seen: Timestamp::UNIX_EPOCH,
        time: Timestamp::UNIX_EPOCH,
        source: "test".to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn watchers_get_what_they_asked_for() {
    let hub = Arc::<Hub>::default();
    let all = hub.watch(Filter::default()).unwrap();
    let risky = Filter { min_risk: Risk::new(6).ok(), text: Some("DISK".into()), ..Filter::default() };
    let risky = hub.watch(risky).unwrap();
    hub.line(&row("disk full", 8, true));
    hub.line(&row("disk fine", 2, true));
    hub.line(&row("fan lost", 8, true));
    hub.event("model", "{}");
    assert_eq!((all.take().rows.len(), risky.take().rows.len()), (3, 1));
    assert_eq!((all.take().seen, hub.watchers()), (0, 2));
    drop(risky);
    assert_eq!(hub.watchers(), 1);
}

#[test]
fn rows_of_one_pattern_become_one_when_ranked() {
    let hub = Arc::<Hub>::default();
    let ranked = hub.watch(Filter { ranked: true, ..Filter::default() }).unwrap();
    for count in 1..=5 {
        hub.line(&LineRow { count, ..row("disk full", 8, false) });
    }
    let news = ranked.take();
    assert_eq!((news.rows.len(), news.rows[0].count, news.seen, news.shown), (1, 5, 5, 5));
}

#[test]
fn a_flood_keeps_what_is_new_and_risky_and_tells_the_true_number() {
    let hub = Arc::<Hub>::default();
    let watcher = hub.watch(Filter::default()).unwrap();
    for number in 0..10_000 {
        let (risk, novel) = (if number % 1000 == 7 { 8 } else { 2 }, number == 5000);
        hub.line(&row(&format!("line {number}"), risk, novel));
    }
    let news = watcher.take();
    assert_eq!((news.rows.len(), news.seen), (ROWS, 10_000));
    assert_eq!(news.rows.iter().filter(|row| row.risk_label == 8).count(), 10);
    assert!(news.rows.iter().any(|row| row.novel));
    let late = news.rows.iter().filter(|row| row.text.len() > "line 999".len()).count();
    assert!(late > 20, "the sample is even: {late} of 50 come from the last nine tenths");
}
