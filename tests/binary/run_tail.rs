//! Following files: rotation in all its kinds, containers' logs, and kills.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use crate::run_plane::{Plane, Site, by_id};

const TAIL: &str = "sources: {logs: {tail: {paths: ['{dir}/logs/*.log']}}}\nsinks: {out: {file: {path: '{dir}/out', sync: false}}}\n";

fn site(settings: &str) -> Site {
    let site = Site::new(settings);
    fs::create_dir(site.path("logs")).unwrap();
    site
}

fn append(path: &Path, lines: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

/// Lines of text that are told apart by their numbers.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("INFO request {number} served in {} ms\n", number % 97)).collect()
}

/// The sink must hold exactly the lines of these numbers, each under one id.
fn check(site: &Site, numbers: std::ops::Range<usize>) {
    let found = site.wait_for("out", numbers.len());
    let messages: BTreeSet<_> =
        found.values().map(|one| one["message"].as_str().unwrap().to_owned()).collect();
    let expected: BTreeSet<_> = lines(numbers).lines().map(str::to_owned).collect();
    let missing: Vec<_> = expected.difference(&messages).take(5).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    assert_eq!(messages, expected);
    assert_eq!(found.len(), expected.len(), "a record has two ids");
}

fn end(mut plane: Plane) {
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn files_are_followed_through_rename_truncation_and_new_files() {
    let site = site(TAIL);
    let log = site.path("logs/app.log");
    append(&log, &lines(0..100));
    let plane = site.start();
    check(&site, 0..100);
    // Renamed; the program goes on writing to the old file for a while, and then to a new one.
    fs::rename(&log, site.path("logs/app.log.1")).unwrap();
    append(&site.path("logs/app.log.1"), &lines(100..150));
    append(&log, &lines(150..200));
    check(&site, 0..200);
    // Copied and truncated; the new text is shorter than the old.
    fs::copy(&log, site.path("logs/app.log.2")).unwrap();
    fs::write(&log, "").unwrap();
    append(&log, &lines(200..210));
    check(&site, 0..210);
    // A second file, and a last line that is not yet whole.
    append(&site.path("logs/other.log"), &lines(210..300));
    append(&log, "INFO request 300 ser");
    check(&site, 0..300);
    append(&log, "ved in 9 ms\n");
    check(&site, 0..301);
    end(plane);
}

#[test]
fn reading_goes_on_where_it_ended_also_through_rotation_while_nobody_looked() {
    let site = site(TAIL);
    let log = site.path("logs/app.log");
    append(&log, &lines(0..100));
    let plane = site.start();
    check(&site, 0..100);
    end(plane);
    let before = site.documents("out").len();
    append(&log, &lines(100..200));
    // No glob finds the rotated file.
    fs::rename(&log, site.path("logs/app.log.1")).unwrap();
    append(&log, &lines(200..300));
    let plane = site.start();
    check(&site, 0..300);
    end(plane);
    assert_eq!(site.documents("out").len(), before + 200, "something was read twice");

    append(&log, &lines(300..400));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&fs::read(&log).unwrap()).unwrap();
    fs::write(site.path("logs/app.log.2.gz"), packed.finish().unwrap()).unwrap();
    fs::remove_file(&log).unwrap();
    let plane = site.start();
    check(&site, 0..400);
    end(plane);
    assert_eq!(site.documents("out").len(), 400, "something was read twice");
}

#[test]
fn compressed_files_are_read_once() {
    let site = site(
        "sources: {logs: {tail: {paths: ['{dir}/logs/*']}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let text = lines(0..5000);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
    fs::write(site.path("logs/a.gz"), packed.finish().unwrap()).unwrap();
    let rest = zstd::encode_all(&text.as_bytes()[text.len() / 2..], 1).unwrap();
    fs::write(site.path("logs/b.zst"), rest).unwrap();
    for _ in 0..2 {
        let plane = site.start();
        plane.wait_for_log("running");
        // The line that the two halves tear is two records.
        assert_eq!(site.wait_for("out", 5001).len(), 5001);
        end(plane);
    }
    assert_eq!(site.documents("out").len(), 5001);
}

#[test]
fn containers_logs_tell_pod_namespace_and_container() {
    let site = site(
        "sources: {logs: {tail: {paths: ['{dir}/containers/*.log']}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let pod = site.path("pods/prod_shop-7d9_11f2/web");
    fs::create_dir_all(&pod).unwrap();
    fs::create_dir(site.path("containers")).unwrap();
    let link = site.path(&format!("containers/shop-7d9_prod_web-{}.log", "ab".repeat(32)));
    symlink(pod.join("0.log"), &link).unwrap();
    append(
        &pod.join("0.log"),
        "2026-01-15T10:30:45.5Z stdout P INFO one \n2026-01-15T10:30:45.6Z stderr F ERROR oops\n2026-01-15T10:30:45.7Z stdout F line\n",
    );
    let plane = site.start();
    let found = site.wait_for("out", 2);
    let of = |stream: &str| found.values().find(|one| one["stream"] == stream).unwrap();
    assert_eq!(of("stdout")["message"], "INFO one line");
    assert_eq!(of("stdout")["@timestamp"], "2026-01-15T10:30:45.500Z");
    assert_eq!(of("stderr")["message"], "ERROR oops");
    for (field, value) in [("pod.name", "shop-7d9"), ("namespace", "prod"), ("container.name", "web")] {
        assert_eq!(of("stderr")[format!("kubernetes.{field}")], value);
    }
    // As the kubelet rotates: the link stays, the file behind it is another.
    fs::rename(pod.join("0.log"), pod.join("0.log.20260115-103046")).unwrap();
    append(&pod.join("0.log.20260115-103046"), "2026-01-15T10:30:46Z stdout F INFO late\n");
    append(&pod.join("0.log"), "2026-01-15T10:30:47Z stdout F INFO next\n");
    let found = site.wait_for("out", 4);
    let messages: BTreeSet<_> = found.values().map(|one| one["message"].as_str().unwrap()).collect();
    assert!(messages.contains("INFO late") && messages.contains("INFO next"), "{messages:?}");
    end(plane);
}

/// A file sink's lines survive kills at random moments: nothing is missing, and what is there twice has one id.
#[test]
fn a_hundred_kills_lose_nothing() {
    const KILLS: u64 = 100;
    let site = Arc::new(site(TAIL));
    let over = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let (site, over) = (Arc::clone(&site), Arc::clone(&over));
        move || {
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                append(&site.path("logs/app.log"), &lines(number..number + 20));
                number += 20;
                if number % 10_000 == 0 {
                    let rotated = site.path(&format!("logs/app.log.{number}"));
                    fs::rename(site.path("logs/app.log"), rotated).unwrap();
                }
                thread::sleep(Duration::from_millis(4));
            }
            number
        }
    });
    // Moments between the first millisecond and well into the work; the same in every run.
    let mut random = 7_u64;
    for _ in 0..KILLS {
        let plane = site.start();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_millis(50 + (random >> 33) % 700));
        drop(plane);
    }
    over.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    let plane = site.start();
    check(&site, 0..written);
    end(plane);
    let documents = site.documents("out");
    let (all, distinct) = (documents.len(), by_id(documents).len());
    println!("{KILLS} kills, {written} lines, {} written again under the same id", all - distinct);
}

#[test]
fn a_new_file_under_the_inode_of_an_old_one_is_read_from_its_beginning() {
    let site = site(TAIL);
    let log = site.path("logs/app.log");
    append(&log, &lines(0..100));
    let plane = site.start();
    check(&site, 0..100);
    end(plane);
    fs::remove_file(&log).unwrap();
    append(&log, &lines(100..200));
    // What file systems do in their own time.
    let inode = fs::metadata(&log).unwrap().ino();
    let checkpoints = site.path("data/checkpoints/logs.json");
    let mut stored: serde_json::Value = serde_json::from_slice(&fs::read(&checkpoints).unwrap()).unwrap();
    stored["files"][0]["key"]["inode"] = inode.into();
    fs::write(&checkpoints, stored.to_string()).unwrap();
    let plane = site.start();
    check(&site, 0..200);
    end(plane);
    assert_eq!(site.documents("out").len(), 200, "something was read twice");
}

#[test]
fn no_checkpoint_depends_on_the_clock() {
    let site = site(TAIL);
    let log = site.path("logs/app.log");
    append(&log, &lines(0..100));
    let plane = site.start();
    check(&site, 0..100);
    end(plane);
    let checkpoints = fs::read_to_string(site.path("data/checkpoints/logs.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&checkpoints).unwrap();
    let mut members: Vec<_> = stored["files"][0].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["before", "done", "first", "key", "offset", "path", "size", "stream"]);
    // Nor does the file's own time tell what was read: here it goes back ten years, and then there is more.
    append(&log, &lines(100..200));
    let file = fs::File::options().write(true).open(&log).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(10 * 365 * 86_400)).unwrap();
    let plane = site.start();
    check(&site, 0..200);
    end(plane);
    assert_eq!(site.documents("out").len(), 200, "something was read twice");
}

#[test]
fn a_full_disk_makes_the_source_wait() {
    let site = site(TAIL);
    let (log, out) = (site.path("logs/app.log"), site.path("out"));
    // Every write to it fails for want of space.
    symlink("/dev/full", &out).unwrap();
    append(&log, &lines(0..100));
    let plane = site.start();
    assert!(plane.wait_for_log("will be repeated").contains("No space left"));
    fs::remove_file(&out).unwrap();
    check(&site, 0..100);
    // And now the checkpoints'.
    symlink("/dev/full", site.path("data/checkpoints/logs.json.new")).unwrap();
    append(&log, &lines(100..200));
    append(&site.path("logs/other.log"), &lines(200..300));
    check(&site, 0..200);
    assert!(plane.wait_for_log("could not write checkpoints").contains("No space left"));
    fs::remove_file(site.path("data/checkpoints/logs.json.new")).unwrap();
    // A file is not read before its name is on the disk.
    check(&site, 0..300);
    plane.wait_for_log("checkpoints are written again");
    end(plane);
    let plane = site.start();
    append(&log, &lines(300..301));
    check(&site, 0..301);
    end(plane);
    assert_eq!(site.documents("out").len(), 301, "something was read twice");
}
