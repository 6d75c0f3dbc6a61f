use super::*;
use crate::{NewCorrection, State};

fn sighting<'a>(masked: &'a str, risk: u8, second: i64) -> Sighting<'a> {
    Sighting {
        pattern: PatternId::of(masked),
        masked,
        text: masked,
        source: "test",
        at: Timestamp::from_second(second).unwrap(),
        risk: Risk::new(risk).unwrap(),
        score: f32::from(risk),
        interval: (Risk::new(risk).unwrap(), Risk::new(risk).unwrap()),
        unsure: false,
        tag: Tag::Info,
        model_version: "1",
    }
}

fn correction(masked: &str, risk: u8) -> NewCorrection {
    NewCorrection {
        pattern: PatternId::of(masked),
        masked: masked.to_owned(),
        log: None,
        risk: Risk::new(risk).unwrap(),
        tag: None,
        comment: None,
        by: None,
        was: None,
        expires: None,
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(2_000).unwrap()
}

fn texts(catalogue: &Catalogue, query: &PatternQuery) -> Vec<String> {
    let query = PatternQuery { limit: 100, ..query.clone() };
    catalogue.patterns(&query, now()).patterns.into_iter().map(|(pattern, _)| pattern.masked).collect()
}

#[test]
fn an_inbox_is_grouped_by_source_and_a_source_silenced() {
    let catalogue = Catalogue::in_memory();
    let of = |source, masked, risk| Sighting { source, ..sighting(masked, risk, 1_000) };
    catalogue.record(&[of("noisy", "a", 3), of("noisy", "b", 2), of("shop", "c", 8), of("shop", "c", 8)]);
    let new = PatternQuery { state: State::New, ..PatternQuery::default() };
    let groups: Vec<_> = catalogue
        .groups(&new, now())
        .into_iter()
        .map(|group| (group.source, group.patterns, group.lines, group.once, group.highest.get()))
        .collect();
    assert_eq!(groups, [("noisy".to_owned(), 2, 2, 2, 3), ("shop".to_owned(), 1, 2, 0, 8)]);
    let until = Timestamp::from_second(3_000).ok();
    assert_eq!(catalogue.silence_source(&new, "noisy", now(), until), 2);
    assert_eq!(texts(&catalogue, &new), ["c"]);
}

#[test]
fn what_the_model_is_least_sure_of_teaches_most() {
    let catalogue = Catalogue::in_memory();
    let wide = |masked, low, high| Sighting {
        interval: (Risk::new(low).unwrap(), Risk::new(high).unwrap()),
        ..sighting(masked, 5, 1_000)
    };
    catalogue.record(&[
        wide("sure", 5, 5),
        wide("wide", 1, 8),
        wide("often", 3, 7),
        wide("rare", 3, 7),
        wide("often", 3, 7),
    ]);
    let query = PatternQuery { sort: Sort::Unsure, ..PatternQuery::default() };
    assert_eq!(texts(&catalogue, &query), ["wide", "often", "rare", "sure"]);
    catalogue.correct(correction("wide", 2), now()).unwrap();
    assert_eq!(texts(&catalogue, &query)[..2], ["often", "rare"]);
}

#[test]
fn a_pattern_has_a_week_of_hours() {
    let catalogue = Catalogue::in_memory();
    let second = |hours: i64| 3600 * (1000 + hours);
    for hours in [0, 0, 2, 500] {
        catalogue.record(&[sighting("tick", 2, second(hours))]);
    }
    let pattern = catalogue.pattern(PatternId::of("tick")).unwrap();
    let at = |hours| Timestamp::from_second(second(hours) + 60).unwrap();
    assert_eq!(pattern.hourly(at(2), 4), [0, 2, 0, 1]);
    assert_eq!(pattern.hourly(at(501), 3), [0, 1, 0]);
    assert_eq!(pattern.hourly(at(900), 168).iter().sum::<u32>(), 0);
}

#[test]
fn lines_are_counted_and_sorted() {
    let catalogue = Catalogue::in_memory();
    let recorded = catalogue.record(&[
        sighting("disk full", 8, 1_000),
        sighting("started", 2, 1_001),
        sighting("started", 2, 1_002),
        sighting("slow", 5, 1_003),
    ]);
    assert!(recorded[1].first && !recorded[2].first && recorded[2].count == 2);
    assert_eq!(texts(&catalogue, &PatternQuery::default()), ["disk full", "slow", "started"]);
    let count = PatternQuery { sort: Sort::Count, ..PatternQuery::default() };
    assert_eq!(texts(&catalogue, &count), ["started", "slow", "disk full"]);
    let first = PatternQuery { sort: Sort::FirstSeen, ascending: true, ..PatternQuery::default() };
    assert_eq!(texts(&catalogue, &first), ["disk full", "started", "slow"]);
    let risky = PatternQuery { min_risk: Risk::new(5).ok(), ..PatternQuery::default() };
    assert_eq!(texts(&catalogue, &risky), ["disk full", "slow"]);
    let text = PatternQuery { text: Some("DISK".into()), ..PatternQuery::default() };
    assert_eq!(texts(&catalogue, &text), ["disk full"]);
}

#[test]
fn a_correction_outranks_the_model_until_it_is_revoked_or_expires() {
    let catalogue = Catalogue::in_memory();
    catalogue.record(&[sighting("disk full", 8, 1_000), sighting("slow", 5, 1_000)]);
    let made = catalogue.correct(correction("disk full", 2), now()).unwrap();
    assert_eq!(texts(&catalogue, &PatternQuery::default()), ["slow", "disk full"]);
    let newer = catalogue.correct(correction("disk full", 3), now()).unwrap();
    assert_eq!(catalogue.corrections().len(), 2);
    assert_eq!(catalogue.correction(made.pattern, now()).unwrap().risk.get(), 3);
    assert!(catalogue.revoke(newer.id, now()).unwrap().is_some());
    assert!(catalogue.correction(made.pattern, now()).is_none());
    assert!(catalogue.revoke(99, now()).unwrap().is_none());

    let expiring = NewCorrection { expires: Some(now()), ..correction("slow", 9) };
    catalogue.correct(expiring, Timestamp::from_second(1_999).unwrap()).unwrap();
    assert!(catalogue.correction(PatternId::of("slow"), Timestamp::from_second(1_999).unwrap()).is_some());
    assert!(catalogue.correction(PatternId::of("slow"), now()).is_none());
}

#[test]
fn the_inbox_empties_by_acknowledging_silencing_and_correcting() {
    let catalogue = Catalogue::in_memory();
    catalogue.record(&[sighting("a", 1, 1), sighting("b", 2, 1), sighting("c", 3, 1), sighting("d", 4, 1)]);
    let new = PatternQuery { state: State::New, ..PatternQuery::default() };
    catalogue.acknowledge(PatternId::of("a"), Some(now())).unwrap();
    catalogue.silence(PatternId::of("b"), Timestamp::from_second(3_000).ok()).unwrap();
    catalogue.correct(correction("c", 3), now()).unwrap();
    assert_eq!(texts(&catalogue, &new), ["d"]);
    assert_eq!(texts(&catalogue, &PatternQuery { state: State::Silenced, ..new.clone() }), ["b"]);
    assert_eq!(texts(&catalogue, &PatternQuery { state: State::Corrected, ..new.clone() }), ["c"]);
    assert_eq!(texts(&catalogue, &PatternQuery { state: State::Acknowledged, ..new }), ["a"]);
    assert!(catalogue.acknowledge(PatternId::of("nowhere"), None).is_none());
}

#[test]
fn what_is_flushed_is_there_at_the_next_start_and_no_longer_novel() {
    let folder = tempfile::tempdir().unwrap();
    {
        let catalogue = Catalogue::open(folder.path()).unwrap();
        catalogue.record(&[sighting("disk full", 8, 1_000)]);
        catalogue.correct(correction("disk full", 4), now()).unwrap();
        catalogue.activate(Activation { version: "7".into(), at: now(), by: None }).unwrap();
        catalogue.flush().unwrap();
        let second = Catalogue::open(folder.path()).unwrap_err().to_string();
        let process = format!("process {}", std::process::id());
        assert!(second.contains("in use") && second.contains(&process), "{second}");
    }
    let catalogue = Catalogue::open(folder.path()).unwrap();
    let pattern = catalogue.pattern(PatternId::of("disk full")).unwrap();
    assert_eq!((pattern.count, pattern.novel, pattern.samples.len()), (1, false, 1));
    assert_eq!(catalogue.correction(pattern.id, now()).unwrap().risk.get(), 4);
    assert_eq!(catalogue.activations()[0].version, "7");
}

#[test]
fn a_flood_of_patterns_is_bounded_and_keeps_what_is_risky() {
    const CAPACITY: usize = 1000;
    let catalogue = Catalogue::in_memory();
    lock(&catalogue.inner).capacity = CAPACITY;
    catalogue.record(&[sighting("disk full", 8, 1)]);
    for number in 0..3 * CAPACITY {
        let masked = format!("noise {number}");
        catalogue.record(&[sighting(&masked, 2, number as i64)]);
        assert!(catalogue.len() <= CAPACITY);
    }
    assert!(catalogue.len() > CAPACITY - CAPACITY / THROWN_OUT);
    for (masked, kept) in [("disk full", true), ("noise 0", false), ("noise 2999", true)] {
        assert_eq!(catalogue.pattern(PatternId::of(masked)).is_some(), kept, "{masked}");
    }
}
