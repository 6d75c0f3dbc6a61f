//! The `kafka` source and sink against real brokers: kills of either side, groups, back-pressure, users and TLS, and
//! confluent-kafka at both ends.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::{Value, json};

use crate::{
    common::{command, repository},
    run_plane::{PATIENCE, Plane, Site},
};

/// Brokers of one cluster.
struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    brokers: u16,
}

/// One broker for all tests but those that kill brokers.
fn kafka() -> &'static Cluster {
    static BROKER: OnceLock<Cluster> = OnceLock::new();
    BROKER.get_or_init(|| Cluster::start(1))
}

impl Cluster {
    fn start(brokers: u16) -> Self {
        let port = free_ports(brokers);
        let cluster = Self { folder: tempfile::tempdir().unwrap(), port, brokers };
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(cluster.path("ca.pem"), made.cert.pem()).unwrap();
        fs::write(cluster.path("broker.pem"), made.signing_key.serialize_pem() + &made.cert.pem()).unwrap();
        let data = cluster.path("data");
        cluster.script(&["start", &cache(), data.to_str().unwrap(), &port.to_string(), &brokers.to_string()]);
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, arguments: &[&str]) {
        let status = Command::new(repository("tests/servers/kafka.sh"))
            .args(arguments)
            .env("KAFKA_PARENT", std::process::id().to_string())
            .env("KAFKA_KEYSTORE", self.path("broker.pem"))
            .status();
        assert!(
            status.unwrap().success(),
            "tests/servers/kafka.sh failed; it needs Maven and a JDK of 17 or later"
        );
    }

    fn kill(&self, broker: u16) {
        let pid = fs::read_to_string(self.path(&format!("data/{broker}/pid"))).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    }

    /// In the notation of YAML and of Python.
    fn addresses(&self) -> String {
        let all: Vec<_> =
            (1..=self.brokers).map(|broker| format!("'127.0.0.1:{}'", self.port + 10 * broker + 2)).collect();
        format!("[{}]", all.join(", "))
    }

    fn secure_address(&self) -> String {
        format!("localhost:{}", self.port + 14)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.addresses().replace(['[', ']', '\'', ' '], ""));
        config
    }

    fn make_topic(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let replicas = TopicReplication::Fixed(if self.brokers < 3 { 1 } else { 3 });
        let topic = NewTopic::new(name, partitions, replicas);
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let began = Instant::now();
        // A broker that has started is known to the others a little later.
        while runtime.block_on(admin.create_topics([&topic], &options)).unwrap()[0].is_err() {
            assert!(began.elapsed() < PATIENCE, "the topic {name} cannot be made");
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Sends numbered lines, each to the partition of its number.
    fn send(&self, topic: &str, numbers: std::ops::Range<usize>, partitions: usize) {
        let producer: BaseProducer = self.config().set("linger.ms", "20").create().unwrap();
        for number in numbers {
            let line = line(number);
            let partition = i32::try_from(number % partitions).unwrap();
            let mut message = BaseRecord::<str, str>::to(topic).payload(&line).partition(partition);
            while let Err((_, back)) = producer.send(message) {
                message = back;
                producer.poll(Duration::from_millis(10));
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(PATIENCE).unwrap();
    }
}

/// The first of ports that nobody has, below those that the system gives to connections.
fn free_ports(brokers: u16) -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    let is_free = |base: &u16| {
        let ports =
            (1..=brokers).flat_map(|broker| (2..=4).map(move |listener| base + 10 * broker + listener));
        ports.map(|port| TcpListener::bind(("127.0.0.1", port))).all(|bound| bound.is_ok())
    };
    (first..32_000).step_by(50).find(is_free).unwrap()
}

fn cache() -> String {
    let cache = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-servers");
    cache.display().to_string()
}

fn line(number: usize) -> String {
    format!("2026-01-15T10:30:45Z INFO request {number} served in {} ms", number % 97)
}

/// From a topic to a file. A member that was killed is missed after a second and a half.
fn settings(cluster: &Cluster, topic: &str, properties: &str) -> String {
    format!(
        "sources: {{stream: {{kafka: {{brokers: {}, topics: [{topic}], group: {topic}, properties: {{session.timeout.ms: 1500, heartbeat.interval.ms: 300{properties}}}}}}}}}\n\
         sinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n",
        cluster.addresses()
    )
}

/// The numbers of the lines in documents of any number of sites; documents of one id are one.
fn numbers(sites: &[&Site]) -> BTreeSet<usize> {
    let documents = sites.iter().flat_map(|site| site.documents("out"));
    let found = crate::run_plane::by_id(documents.collect());
    let number = |document: &Value| {
        document["message"].as_str().unwrap().split(' ').nth(3).unwrap().parse::<usize>().unwrap()
    };
    let numbers: BTreeSet<_> = found.values().map(number).collect();
    assert_eq!(numbers.len(), found.len(), "a record has two ids");
    numbers
}

fn wait_for(sites: &[&Site], records: usize) {
    let began = Instant::now();
    loop {
        let found = numbers(sites);
        if found.len() == records {
            assert_eq!(found.last(), Some(&(records - 1)));
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {records} records", found.len());
        thread::sleep(Duration::from_millis(100));
    }
}

/// A spread of moments that is the same in every run.
fn moments(count: u64, least: u64, most: u64) -> impl Iterator<Item = Duration> {
    (1..=count).map(move |step| {
        let spread = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        Duration::from_millis(least + spread % (most - least))
    })
}

#[test]
fn a_topic_is_read_exactly_through_kills() {
    let cluster = kafka();
    cluster.make_topic("kills", 12);
    // A member with a name of its own has its partitions back at once.
    let site = Site::new(&settings(cluster, "kills", ", group.instance.id: one"));
    let done = AtomicBool::new(false);
    let total = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                cluster.send("kills", sent..sent + 1200, 12);
                sent += 1200;
                thread::sleep(Duration::from_millis(100));
            }
            sent
        });
        for moment in moments(25, 200, 2500) {
            let plane = site.start();
            thread::sleep(moment);
            drop(plane);
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    assert!(numbers(&[&site]).len() > total / 10, "the kills came before anything was read");
    let mut plane = site.start();
    wait_for(&[&site], total);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    // All of it is committed: the next start reads only what is new.
    let written = site.documents("out").len();
    assert!(written < 2 * total, "{written} documents of {total} records");
    cluster.send("kills", total..total + 12, 12);
    let _plane = site.start();
    wait_for(&[&site], total + 12);
    assert_eq!(site.documents("out").len(), written + 12, "what was committed was read again");
}

#[test]
fn members_of_a_group_share_the_partitions_and_lose_nothing() {
    let cluster = kafka();
    cluster.make_topic("shared", 12);
    let sites: Vec<_> = (0..3).map(|_| Site::new(&settings(cluster, "shared", ""))).collect();
    let mut planes: Vec<Plane> = sites.iter().take(2).map(Site::start).collect();
    let done = AtomicBool::new(false);
    let total = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                cluster.send("shared", sent..sent + 600, 12);
                sent += 600;
                thread::sleep(Duration::from_millis(50));
            }
            sent
        });
        planes[0].wait_for_log("partitions were assigned");
        planes.push(sites[2].start());
        // One is killed, one asked to end, and each comes back.
        for (turn, moment) in moments(6, 1000, 3000).enumerate() {
            thread::sleep(moment);
            let member = turn % 3;
            if turn % 2 == 0 {
                drop(planes.remove(member));
            } else {
                let mut leaving = planes.remove(member);
                assert_eq!(leaving.terminate(), Some(0), "{:?}", leaving.log_lines());
            }
            thread::sleep(Duration::from_millis(500));
            planes.insert(member, sites[member].start());
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    let all: Vec<&Site> = sites.iter().collect();
    wait_for(&all, total);
    for site in &all {
        assert!(site.documents("out").len() > total / 20, "a member had next to nothing to do");
    }
}

#[test]
fn a_stopped_sink_pauses_the_partitions_and_the_group_keeps_the_member() {
    let cluster = kafka();
    cluster.make_topic("paused", 4);
    let site = Site::new(&settings(cluster, "paused", ", max.poll.interval.ms: 3000"));
    let mut plane = site.start();
    plane.wait_for_log("partitions were assigned");
    // A folder in the place of the sink's file: nothing can be written.
    fs::remove_file(site.path("out")).unwrap();
    fs::create_dir(site.path("out")).unwrap();
    // Several times what may be in flight: a record takes some 700 bytes there.
    cluster.send("paused", 0..400_000, 4);
    plane.wait_for_log("will be repeated");
    thread::sleep(Duration::from_secs(8));
    let status = fs::read_to_string(format!("/proc/{}/status", plane.child.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let mebibytes = peak.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10;
    assert!((30..256).contains(&mebibytes), "{mebibytes} MiB");
    fs::remove_dir(site.path("out")).unwrap();
    wait_for(&[&site], 400_000);
    assert_eq!(plane.terminate(), Some(0));
    let log = plane.log_lines();
    assert!(
        !log.iter().any(|line| line.contains("were assigned") || line.contains("poll interval")),
        "{log:?}"
    );
}

fn python(script: &str) {
    let folder =
        PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-tests/confluent-kafka");
    if !folder.join("confluent_kafka").exists() {
        let installed = Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "confluent-kafka==2.16.1",
                "--target",
            ])
            .arg(&folder)
            .status();
        assert!(installed.unwrap().success(), "pip could not install confluent-kafka");
    }
    let status = Command::new("python3").args(["-c", script]).env("PYTHONPATH", &folder).status();
    assert!(status.unwrap().success(), "{script}");
}

/// A user's password, proved by SCRAM at one end and by PLAIN at the other, over TLS; Python's client beyond both.
#[test]
fn confluent_kafka_is_read_and_reads_us_over_tls() {
    let cluster = kafka();
    cluster.make_topic("python-in", 1);
    cluster.make_topic("python-out", 3);
    python(&format!(
        "from confluent_kafka import Producer\n\
         import json\n\
         for codec in ['none', 'gzip', 'snappy', 'lz4', 'zstd']:\n    \
             p = Producer({{'bootstrap.servers': ','.join({addresses}), 'compression.type': codec}})\n    \
             p.produce('python-in', json.dumps({{'message': f'ERROR disk full {{codec}}' + ' ' * 500, 'host': {{'name': 'db-1'}}}}),\n        \
                 key='db-1', headers=[('tenant', codec), ('trace', b'\\xff')])\n    \
             p.produce('python-in', None, key='db-1')\n    \
             assert p.flush(30) == 0\n",
        addresses = cluster.addresses()
    ));
    let secure = |mechanism: &str| {
        format!(
            "brokers: ['{}'], tls: {{certificate_authority: '{}'}}, sasl: {{mechanism: {mechanism}, user: it, password: {{env: KAFKA_PASSWORD}}}}",
            cluster.secure_address(),
            cluster.path("ca.pem").display()
        )
    };
    let site = Site::new(&format!(
        "sources: {{stream: {{kafka: {{{}, topics: ['^python-i'], fields: {{team: a}}}}}}}}\n\
         sinks: {{out: {{kafka: {{{}, topic: python-out, key: kafka.key}}}}}}\n",
        secure("SCRAM-SHA-512"),
        secure("PLAIN")
    ));
    let config = site.path("logrisk.yaml");
    let check = |password: &str| {
        let output =
            command(&["check", config.to_str().unwrap()]).env("KAFKA_PASSWORD", password).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (valid, told) = check("secret");
    assert!(valid && told.contains("1 brokers, python-out has 3 partitions"), "{told}");
    let (valid, told) = check("wrong");
    assert!(!valid && told.to_lowercase().contains("authentication failed"), "{told}");
    let mut plane = Plane::start(site.command().env("LOGRISK_MODEL", "mini").env("KAFKA_PASSWORD", "secret"));
    python(&format!(
        "from confluent_kafka import Consumer\n\
         import json, time\n\
         c = Consumer({{'bootstrap.servers': ','.join({addresses}), 'group.id': 'python', 'auto.offset.reset': 'earliest'}})\n\
         c.subscribe(['python-out'])\n\
         codecs, offsets, end = set(), set(), time.time() + 60\n\
         while len(codecs) < 5:\n    \
             assert time.time() < end, codecs\n    \
             m = c.poll(1)\n    \
             if m is None or m.error(): continue\n    \
             d, h = json.loads(m.value()), dict(m.headers())\n    \
             assert m.key() == b'db-1' and d['kafka.key'] == 'db-1' and d['team'] == 'a', d\n    \
             assert d['message'].startswith('ERROR disk full') and d['host'] == {{'name': 'db-1'}}, d\n    \
             assert d['kafka.topic'] == 'python-in' and d['kafka.partition'] == 0, d\n    \
             assert d['kafka.headers']['trace'] == 'base64:/w==', d\n    \
             assert h['risk_label'] == str(d['risk_label']).encode() and h['tag'] == d['tag'].encode(), h\n    \
             assert h['record_id'] == d['record_id'].encode() and h['pattern_id'] == d['pattern_id'].encode(), h\n    \
             codecs.add(d['kafka.headers']['tenant']); offsets.add(d['kafka.offset'])\n\
         assert offsets == {{0, 2, 4, 6, 8}}, offsets\n\
         c.close()\n",
        addresses = cluster.addresses()
    ));
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn a_message_that_is_too_large_goes_to_the_dead_letters_alone() {
    let cluster = kafka();
    cluster.make_topic("large", 1);
    let site = Site::new(&format!(
        "sources: {{logs: {{tail: {{paths: ['{{dir}}/app.log']}}}}}}\n\
         sinks: {{out: {{kafka: {{brokers: {}, topic: large, properties: {{message.max.bytes: 4000}}}}}}}}\n",
        cluster.addresses()
    ));
    let huge = "x".repeat(9000);
    fs::write(site.path("app.log"), format!("INFO one\nINFO {huge}\nINFO three\n")).unwrap();
    let mut plane = site.start();
    plane.wait_for_log("the dead letters keep them");
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    let reader = Site::new(&settings(cluster, "large", ""));
    let _plane = reader.start();
    let found = reader.wait_for("out", 2);
    let messages: BTreeSet<_> =
        found.values().map(|document| document["message"].as_str().unwrap()).collect();
    assert_eq!(messages, BTreeSet::from(["INFO one", "INFO three"]));
    // What the document said before is kept beside what is said of it now.
    let one = found.values().find(|document| document["message"] == "INFO one").unwrap();
    assert_eq!(one["original.event.dataset"], json!("logs"));
}

#[test]
fn what_is_not_there_is_named_by_check() {
    let cluster = kafka();
    let site = Site::new(&settings(cluster, "no-such-topic", ""));
    let config = site.path("logrisk.yaml");
    let check = |config: &Path| {
        let output = command(&["check", config.to_str().unwrap()]).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let told = check(&config);
    assert!(told.contains("source stream") && told.contains("no topic no-such-topic"), "{told}");
    site.set(&settings(cluster, "logs", ", acks: 1"));
    let told = check(&config);
    assert!(told.contains("acks is not to be changed") && told.contains("logrisk.yaml:1:"), "{told}");
    site.set(&settings(cluster, "logs", ", no.such.property: 1"));
    let told = check(&config);
    assert!(told.contains("no.such.property"), "{told}");
}

/// From a file through three brokers to a file, while a broker is killed and comes back.
#[test]
fn nothing_is_lost_while_one_of_three_brokers_is_killed() {
    let cluster = Cluster::start(3);
    cluster.make_topic("brokers", 6);
    let writer = Site::new(&format!(
        "sources: {{logs: {{tail: {{paths: ['{{dir}}/app.log']}}}}}}\n\
         sinks: {{out: {{kafka: {{brokers: {}, topic: brokers, timeout_secs: 20}}}}}}\n",
        cluster.addresses()
    ));
    let reader = Site::new(&settings(&cluster, "brokers", ""));
    let mut planes = [writer.start(), reader.start()];
    let mut log = fs::File::create(writer.path("app.log")).unwrap();
    let mut sent = 0;
    let mut write = |until: Duration| {
        let began = Instant::now();
        while began.elapsed() < until {
            let lines: String = (sent..sent + 500).map(|number| line(number) + "\n").collect();
            std::io::Write::write_all(&mut log, lines.as_bytes()).unwrap();
            sent += 500;
            thread::sleep(Duration::from_millis(100));
        }
    };
    write(Duration::from_secs(4));
    cluster.kill(1);
    write(Duration::from_secs(8));
    cluster.script(&["one", &cache(), cluster.path("data").to_str().unwrap(), "1"]);
    write(Duration::from_secs(2));
    let began = Instant::now();
    loop {
        // A message that was stored and reported as failed is there twice, under two offsets.
        let found: BTreeSet<_> = reader
            .documents("out")
            .iter()
            .map(|document| document["message"].as_str().unwrap().to_owned())
            .collect();
        if found.len() == sent {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {sent} records: {:?}", found.len(), planes[1].log_lines());
        thread::sleep(Duration::from_millis(200));
    }
    for plane in &mut planes {
        assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    }
}
