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
        risk_interval: Some([risk, risk]),
        unsure: false,
        label_source: "model",
        count: 1,
        first_seen: Timestamp::UNIX_EPOCH,
        time: Timestamp::UNIX_EPOCH,
        source: "test".to_owned(),
        masked: text.to_owned(),
        text: text.to_owned(),
    }
}

fn watch(hub: &Arc<Hub>, filter: Filter) -> Arc<Watcher> {
    let (watcher, begin) = hub.watch(filter, "test", None).unwrap();
    assert!(matches!(begin, Begin::Now));
    // A watcher's first news may be long.
    _ = watcher.take();
    watcher
}

#[test]
fn watchers_get_what_they_asked_for() {
    let hub = Arc::new(Hub::new(2));
    let all = watch(&hub, Filter::default());
    let risky = Filter { min_risk: Risk::new(6).ok(), text: Some("DISK".into()), ..Filter::default() };
    let risky = watch(&hub, risky);
    hub.line(row("disk full", 8, true));
    hub.line(row("disk fine", 2, true));
    hub.line(row("fan lost", 8, true));
    hub.event("model", "{}");
    assert_eq!((all.take().rows.len(), risky.take().rows.len()), (3, 1));
    assert_eq!((all.take().seen, hub.watchers()), (0, 2));
    drop(risky);
    assert_eq!(hub.watchers(), 1);
}

#[test]
fn rows_of_one_pattern_become_one_when_ranked() {
    let hub = Arc::new(Hub::new(2));
    let ranked = watch(&hub, Filter { ranked: true, ..Filter::default() });
    for count in 1..=5 {
        hub.line(LineRow { count, ..row("disk full", 8, false) });
    }
    let news = ranked.take();
    assert_eq!((news.rows.len(), news.rows[0].count, news.seen, news.shown), (1, 5, 5, 5));
}

#[test]
fn a_flood_keeps_what_is_new_and_risky_and_tells_the_true_number() {
    let hub = Arc::new(Hub::new(2));
    let watcher = watch(&hub, Filter::default());
    for number in 0..10_000 {
        let (risk, novel) = (if number % 1000 == 7 { 8 } else { 2 }, number == 5000);
        hub.line(row(&format!("line {number}"), risk, novel));
    }
    let news = watcher.take();
    assert_eq!((news.rows.len(), news.seen), (ROWS, 10_000));
    assert_eq!(news.rows.iter().filter(|row| row.risk_label == 8).count(), 10);
    assert!(news.rows.iter().any(|row| row.novel));
    let late = news.rows.iter().filter(|row| row.text.len() > "line 999".len()).count();
    assert!(late > 20, "the sample is even: {late} of 50 come from the last nine tenths");
}

#[test]
fn who_comes_back_misses_nothing_that_is_remembered() {
    let hub = Arc::new(Hub::new(9));
    let first = watch(&hub, Filter::default());
    hub.line(row("seen", 2, false));
    let id = hub.id(first.take().number);
    drop(first);
    assert!(hub.listens(), "it may come back");
    for number in 0..100 {
        hub.line(row(&format!("missed {number}"), if number % 2 == 0 { 8 } else { 2 }, false));
    }
    hub.event("model", "{}");
    let risky = Filter { min_risk: Risk::new(6).ok(), ..Filter::default() };
    let (again, begin) = hub.watch(risky, "test", Some(&id)).unwrap();
    assert!(matches!(begin, Begin::Complete));
    let news = again.take();
    assert_eq!((news.rows.len(), news.seen, news.events.len()), (50, 50, 1));
    assert_eq!(news.rows[0].text, "missed 0");
    let (same, begin) = hub.watch(Filter::default(), "test", Some(&hub.id(news.number))).unwrap();
    assert!(matches!(begin, Begin::Complete) && same.take().seen == 0);

    let (_ahead, begin) = hub.watch(Filter::default(), "test", Some(&hub.id(u64::MAX))).unwrap();
    assert!(matches!(begin, Begin::Complete));
    for number in 0..REMEMBERED {
        hub.line(row(&format!("more {number}"), 2, false));
    }
    for lost in [id.as_str(), "0-7", "nonsense", "-"] {
        let (late, begin) = hub.watch(Filter::default(), "test", Some(lost)).unwrap();
        assert!(matches!(begin, Begin::Incomplete), "{lost}");
        assert_eq!(late.take().rows.len(), REMEMBERED, "{lost}");
    }
}

#[test]
fn nobody_is_told_that_nothing_happened_while_nobody_listened() {
    let hub = Arc::new(Hub::new(9));
    let id = hub.id(watch(&hub, Filter::default()).take().number);
    *lock(&hub.left) = Instant::now().checked_sub(LINGER);
    assert!(!hub.listens() && !hub.listens());
    let (_late, begin) = hub.watch(Filter::default(), "test", Some(&id)).unwrap();
    assert!(matches!(begin, Begin::Incomplete));
}

#[test]
fn one_client_does_not_take_all_streams() {
    let hub = Arc::new(Hub::new(2));
    let open = |client: &str| hub.watch(Filter::default(), client, None);
    let held = [open("a").unwrap(), open("a").unwrap()];
    assert!(open("a").is_none() && open("b").is_some());
    drop(held);
    assert!(open("a").is_some());
}
