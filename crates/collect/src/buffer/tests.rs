use std::{fs, time::Duration};

use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_flow::{Batch, Budget, Fields, Origin, RecordId};
use serde_json::json;
use tokio::{sync::mpsc::Receiver, time::timeout};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: BufferSettings = BufferSettings { mebibytes: 1 };

fn records(numbers: std::ops::Range<u64>, length: usize) -> Vec<Record> {
    let origin = Arc::new(Origin::new("in", [("site", "x")].into_iter().collect()));
    let record = |number: u64| Record {
        id: RecordId::of(&number.to_le_bytes()),
        time: Timestamp::new(number as i64 - 5, 123_456_789).ok(),
        level: Some(Level::Warn),
        body: format!("{number} \u{1f525}\0{}", "x".repeat(length)),
        origin: Arc::clone(&origin),
        fields: [("host.name", json!("h")), ("n", json!({"a": [number, null]}))].into_iter().collect(),
    };
    numbers.map(record).collect()
}

fn ids(records: &[Record]) -> Vec<RecordId> {
    records.iter().map(|record| record.id).collect()
}

/// A drain at work, and where its batches arrive.
fn start(folder: &Path) -> (Buffer, Receiver<Batch<Record>>, tokio::task::JoinHandle<Result<(), Closed>>) {
    let (outlet, batches) = Outlet::new(Budget::new(64 << 20));
    let (buffer, drain) = Buffer::open(folder, "in", &SETTINGS, outlet.collected()).unwrap();
    (buffer, batches, tokio::spawn(drain.run(outlet)))
}

async fn next(batches: &mut Receiver<Batch<Record>>) -> Batch<Record> {
    timeout(PATIENCE, batches.recv()).await.unwrap().unwrap()
}

#[test]
fn records_come_out_as_they_went_in_and_damage_is_found() {
    let mut all = records(0..300, 400);
    all.extend(records(300..301, 200_000));
    all.push(Record { time: None, level: None, fields: Fields::default(), ..all[0].clone() });
    let entries: Vec<_> = entry::encode(&all).into_iter().map(|entry| (1, entry.bytes)).collect();
    assert!(entries.len() > 3, "large entries would wait for large pages");
    let (found, damaged) = entry::decode("in", &entries);
    assert_eq!(damaged, 0);
    for (found, expected) in found.iter().zip(&all) {
        assert_eq!(
            (found.id, found.time, found.level, &found.body, &found.fields, &found.origin.members),
            (
                expected.id,
                expected.time,
                expected.level,
                &expected.body,
                &expected.fields,
                &expected.origin.members
            )
        );
    }
    assert_eq!(found.len(), all.len());
    assert!(Arc::ptr_eq(&found[0].origin, &found[1].origin));
    for (index, length) in [(0, 0), (0, 7), (9, 20), (400, 500)] {
        let mut bytes = entries[0].1.clone();
        bytes[index] ^= 1;
        bytes.truncate(bytes.len() - length);
        assert_eq!(entry::decode("in", &vec![(1, bytes)]).1, 1, "{index} {length}");
    }
    assert_eq!(entry::decode("in", &vec![(1, Vec::new())]).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_delivered_is_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, mut batches, drained) = start(folder.path());
    buffer.keep(records(0..10, 10)).await.unwrap();
    next(&mut batches).await.ack.settle(Outcome::Delivered);
    buffer.keep(records(10..20, 10)).await.unwrap();
    let second = next(&mut batches).await;
    assert_eq!(ids(&second.items), ids(&records(10..20, 10)));
    // The plane ends under it.
    drop((second, batches, buffer));
    assert_eq!(timeout(PATIENCE, drained).await.unwrap().unwrap(), Err(Closed));

    let (buffer, mut batches, drained) = start(folder.path());
    buffer.keep(records(20..30, 10)).await.unwrap();
    drop(buffer);
    let mut found = Vec::new();
    while let Some(batch) = timeout(PATIENCE, batches.recv()).await.unwrap() {
        found.extend(ids(&batch.items));
        batch.ack.settle(Outcome::Delivered);
    }
    assert_eq!(found, ids(&records(10..30, 10)), "in order, those of the earlier run first");
    assert_eq!(drained.await.unwrap(), Ok(()));

    let (buffer, mut batches, _drained) = start(folder.path());
    drop(buffer);
    assert!(timeout(PATIENCE, batches.recv()).await.unwrap().is_none(), "it is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_sent_again_and_what_was_rejected_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, mut batches, drained) = start(folder.path());
    buffer.keep(records(0..5, 10)).await.unwrap();
    for outcome in [None, Some(Outcome::Failed), Some(Outcome::Rejected)] {
        let batch = next(&mut batches).await;
        assert_eq!(ids(&batch.items), ids(&records(0..5, 10)));
        outcome.into_iter().for_each(|outcome| batch.ack.share().settle(outcome));
        match outcome {
            Some(outcome) => batch.ack.settle(outcome),
            None => drop(batch),
        }
    }
    drop(buffer);
    assert!(timeout(PATIENCE, batches.recv()).await.unwrap().is_none());
    assert_eq!(drained.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_says_what_it_did_not_take_and_waits_for_who_can() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, mut batches, drained) = start(folder.path());
    let dropped = buffer.offer(records(0..2000, 1000)).await.unwrap();
    assert!((900..1200).contains(&dropped), "{dropped} of 2 MB found no room in one MiB");
    let waiting = tokio::spawn({
        let buffer = buffer.clone();
        async move { buffer.keep(records(2000..2100, 1000)).await }
    });
    let mut found = 0;
    drop(buffer);
    while let Some(batch) = timeout(PATIENCE, batches.recv()).await.unwrap() {
        found += batch.items.len() as u64;
        batch.ack.settle(Outcome::Delivered);
    }
    assert_eq!(found, 2100 - dropped);
    assert_eq!((waiting.await.unwrap(), drained.await.unwrap()), (Ok(()), Ok(())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_keeps_its_size_however_much_passes_through() {
    let folder = tempfile::tempdir().unwrap();
    let (buffer, mut batches, drained) = start(folder.path());
    let settled = tokio::spawn(async move {
        while let Some(batch) = batches.recv().await {
            batch.ack.settle(Outcome::Delivered);
        }
    });
    for round in 0..40 {
        buffer.keep(records(1000 * round..1000 * (round + 1), 1000)).await.unwrap();
    }
    drop(buffer);
    settled.await.unwrap();
    drained.await.unwrap().unwrap();
    let bytes = fs::metadata(folder.path().join("in.redb")).unwrap().len();
    assert!(bytes <= 4 << 20, "{bytes} bytes after 40 MB through a buffer of one MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _open = Buffer::open(folder.path(), "in", &SETTINGS, &Arc::default()).unwrap();
    let error = Buffer::open(folder.path(), "in", &SETTINGS, &Arc::default()).err().unwrap().to_string();
    assert!(error.contains("in.redb") && error.contains("another process"), "{error}");
    fs::write(folder.path().join("other.redb"), "no database").unwrap();
    let error = Buffer::open(folder.path(), "other", &SETTINGS, &Arc::default()).err().unwrap().to_string();
    assert!(error.contains("other.redb") && error.contains("move the file away"), "{error}");
}
