use std::{borrow::Cow, sync::atomic::AtomicUsize};

use logrisk_base::{PatternId, Risk, Tag};

use super::*;
use crate::engine::{CacheFigures, DriftFigures};

/// Judges by the text's length, counts what it is asked, and waits at a gate.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    gate: Mutex<()>,
}

impl Engine for Slow {
    fn version(&self) -> &str {
        "slow"
    }
    fn redact<'a>(&self, line: &'a str) -> Cow<'a, str> {
        line.into()
    }
    fn mask(&self, line: &str, _: bool) -> Masked {
        Masked { pattern: PatternId::of(line), text: line.into(), level: None }
    }
    fn known(&self, _: &Masked) -> Option<Verdict> {
        None
    }
    fn assess(&self, texts: &[Masked]) -> Vec<Verdict> {
        drop(lock(&self.gate));
        self.asked.fetch_add(texts.len(), Ordering::SeqCst);
        assert!(texts.iter().all(|text| &*text.text != "panic"), "asked to");
        texts
            .iter()
            .map(|text| Verdict {
                risk: Risk::nearest(text.text.len() as f32),
                score: text.text.len() as f32,
                tag: Tag::Info,
                confidence: 1.0,
                probabilities: [0.0; 11],
                interval: (Risk::MIN, Risk::MAX),
                unsure: false,
            })
            .collect()
    }
    fn explain(&self, _: &Masked) -> Option<serde_json::Value> {
        None
    }
    fn records(&self, _: &[u8]) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    fn cache(&self) -> CacheFigures {
        CacheFigures::default()
    }
    fn drift(&self) -> DriftFigures {
        DriftFigures::default()
    }
}

fn loaded(engine: &Arc<Slow>, generation: u64) -> Loaded {
    Loaded { generation, engine: Arc::clone(engine) as Arc<dyn Engine>, since: jiff::Timestamp::now() }
}

fn texts(engine: &Slow, lines: &[&str]) -> Vec<Masked> {
    lines.iter().map(|line| engine.mask(line, true)).collect()
}

#[test]
fn verdicts_come_in_order_and_equal_texts_are_judged_once() {
    let engine = Arc::new(Slow::default());
    let batcher = Batcher::start(2, 100).unwrap();
    let held = engine.gate.lock().unwrap();
    let first = batcher.submit(&loaded(&engine, 1), texts(&engine, &["a", "bbb", "a"])).unwrap();
    let second = batcher.submit(&loaded(&engine, 1), texts(&engine, &["bbb", "cc"])).unwrap();
    drop(held);
    let scores = |verdicts: Vec<Verdict>| verdicts.iter().map(|verdict| verdict.score).collect::<Vec<_>>();
    assert_eq!(scores(first.blocking_recv().unwrap()), [1.0, 3.0, 1.0]);
    assert_eq!(scores(second.blocking_recv().unwrap()), [3.0, 2.0]);
    batcher.close();
    assert_eq!(engine.asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_full_queue_refuses_at_once_and_who_left_costs_nothing() {
    let engine = Arc::new(Slow::default());
    let batcher = Batcher::start(1, 2).unwrap();
    let held = engine.gate.lock().unwrap();
    let running = batcher.submit(&loaded(&engine, 1), texts(&engine, &["first"])).unwrap();
    while batcher.waiting() > 0 {
        thread::yield_now();
    }
    let left = batcher.submit(&loaded(&engine, 1), texts(&engine, &["a", "b", "c"])).unwrap();
    let refused = batcher.submit(&loaded(&engine, 1), texts(&engine, &["d"]));
    assert!(matches!(refused, Err(Refused::Full(wait)) if wait >= Duration::from_secs(1)));
    drop(left);
    drop(held);
    assert!(running.blocking_recv().is_ok());
    batcher.close();
    assert_eq!(engine.asked.load(Ordering::SeqCst), 1);
    assert_eq!(batcher.figures().abandoned.load(Ordering::Relaxed), 3);
}

#[test]
fn two_models_are_never_in_one_batch() {
    let (old, new) = (Arc::new(Slow::default()), Arc::new(Slow::default()));
    let batcher = Batcher::start(1, 100).unwrap();
    let before = batcher.submit(&loaded(&old, 1), texts(&old, &["same", "older"])).unwrap();
    let after = batcher.submit(&loaded(&new, 2), texts(&new, &["same"])).unwrap();
    assert_eq!(before.blocking_recv().unwrap().len(), 2);
    assert_eq!(after.blocking_recv().unwrap().len(), 1);
    batcher.close();
    assert_eq!((old.asked.load(Ordering::SeqCst), new.asked.load(Ordering::SeqCst)), (2, 1));
}

#[test]
fn a_panic_fails_its_batch_and_the_thread_goes_on() {
    let engine = Arc::new(Slow::default());
    let batcher = Batcher::start(1, 100).unwrap();
    let failed = batcher.submit(&loaded(&engine, 1), texts(&engine, &["panic"])).unwrap();
    assert!(failed.blocking_recv().is_err());
    let fine = batcher.submit(&loaded(&engine, 1), texts(&engine, &["fine"])).unwrap();
    assert_eq!(fine.blocking_recv().unwrap().len(), 1);
    batcher.close();
    assert!(batcher.submit(&loaded(&engine, 1), texts(&engine, &["late"])).is_err());
}
