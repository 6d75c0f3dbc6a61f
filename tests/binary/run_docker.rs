//! The `docker` source against a real daemon: through kills, restarts of containers, and both kinds of streams.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    common::{repository, run},
    run_plane::Site,
};

/// A daemon of its own. Dropping it ends it with its containers.
struct Daemon {
    folder: tempfile::TempDir,
}

fn cache() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-servers")
}

impl Daemon {
    /// `None` where no daemon can run: it takes root, cgroups and Debian's packages, which a container rarely has.
    fn start() -> Option<Self> {
        let daemon = Self { folder: tempfile::tempdir().unwrap() };
        let status = Command::new(repository("tests/servers/docker.sh"))
            .arg("start")
            .args([cache(), daemon.folder.path().into()])
            .stdout(Stdio::null())
            .status();
        let started = status.unwrap().success();
        if !started {
            eprintln!("not checked: no Docker daemon can run here");
        }
        started.then_some(daemon)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn docker(&self, arguments: &[&str]) {
        let output = Command::new(cache().join("docker/usr/bin/docker"))
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .args(arguments)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a script in a container of that name, in the background.
    fn run(&self, name: &str, options: &[&str], script: &str) {
        let mut arguments = vec!["run", "--detach", "--network", "none", "--name", name];
        arguments.extend(options);
        arguments.extend(["shell", "/bin/sh", "-c", script]);
        self.docker(&arguments);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let containers =
            "docker --host unix://$0/docker.sock ps -aq | xargs -r docker --host unix://$0/docker.sock rm -f";
        let path = format!("{}:{}", cache().join("docker/usr/bin").display(), std::env::var("PATH").unwrap());
        _ = Command::new("sh").args(["-c", containers]).arg(self.folder.path()).env("PATH", path).output();
        _ = Command::new(repository("tests/servers/docker.sh")).arg("stop").arg(self.folder.path()).status();
    }
}

fn site(daemon: &Daemon, extra: &str) -> Site {
    Site::new(&format!(
        "sources: {{in: {{docker: {{socket: '{}', exclude: ['quiet*']{extra}}}}}}}\n\
         sinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n",
        daemon.socket().display()
    ))
}

#[test]
fn containers_are_read_once_through_kills_and_restarts() {
    let Some(daemon) = Daemon::start() else { return };
    let site = site(&daemon, "");
    daemon.run(
        "early",
        &["--label", "com.docker.compose.service=shop"],
        "for i in $(seq 3000); do echo INFO early $i; done",
    );
    daemon.run("quiet-one", &[], "echo never to be read");
    let checked = run(&["check", site.path("logrisk.yaml").to_str().unwrap()], "");
    assert!(checked.stdout.contains("1 of 2 containers are read"), "{}{}", checked.stdout, checked.stderr);
    daemon.run("late", &[], "for i in $(seq 2000); do echo WARN late $i; usleep 1000; done");
    for step in 0..15 {
        let plane = site.start();
        thread::sleep(Duration::from_millis(150 + step * 25));
        drop(plane);
    }
    let mut plane = site.start();
    site.wait_for("out", 5000);
    // A container that is started again goes on in its log.
    daemon.docker(&["start", "early"]);
    let found = site.wait_for("out", 8000);
    let messages = |name: &str| {
        let own = found.values().filter(|one| one["container.name"] == name);
        own.map(|one| one["message"].as_str().unwrap()).collect::<BTreeSet<_>>().len()
    };
    assert_eq!((found.len(), messages("early"), messages("late")), (8000, 3000, 2000));
    let one = found.values().find(|one| one["message"] == "INFO early 7").unwrap();
    assert_eq!(
        (&one["container.image.name"], &one["service.name"], &one["stream"], &one["log.level"]),
        (&json!("shell"), &json!("shop"), &json!("stdout"), &json!("info"))
    );
    assert_eq!(one["container.id"].as_str().unwrap().len(), 64);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    // An orderly end leaves nothing to be read again.
    let before = site.documents("out").len();
    let mut plane = site.start();
    daemon.run("last", &[], "echo the end");
    site.wait_for("out", 8001);
    assert_eq!((site.documents("out").len(), plane.terminate()), (before + 1, Some(0)));
}

#[test]
fn streams_terminals_long_lines_and_stack_traces_are_told_apart() {
    let Some(daemon) = Daemon::start() else { return };
    let site = site(&daemon, ", start: end");
    daemon.run("before", &[], "echo of yesterday");
    daemon.run("mute", &["--log-driver", "none"], "echo unheard; sleep 1000");
    thread::sleep(Duration::from_millis(300));
    let mut plane = site.start();
    plane.wait_for_log("running");
    thread::sleep(Duration::from_secs(1));
    let trace = "printf 'java.lang.IllegalStateException: boom\\n\\tat a.B.c(D.java:1)\\n\\tat a.E.f(G.java:2)\\n' >&2; echo ready";
    daemon.run("java", &[], trace);
    daemon.run("long", &[], "head -c 40000 /dev/zero | tr '\\0' x; echo");
    daemon.run("terminal", &["--tty"], "echo hello; echo world");
    let found = site.wait_for("out", 5);
    let of = |name: &str, stream: &str| -> Vec<&Value> {
        let own = found.values().filter(|one| one["container.name"] == name && one["stream"] == stream);
        own.map(|one| &one["message"]).collect()
    };
    let trace = "java.lang.IllegalStateException: boom\n\tat a.B.c(D.java:1)\n\tat a.E.f(G.java:2)";
    assert_eq!((of("java", "stderr"), of("java", "stdout")), (vec![&json!(trace)], vec![&json!("ready")]));
    assert_eq!(of("long", "stdout"), [&json!("x".repeat(40_000))]);
    let mut terminal = of("terminal", "stdout");
    terminal.sort_by_key(|message| message.to_string());
    assert_eq!(terminal, [&json!("hello"), &json!("world")]);
    assert!(of("before", "stdout").is_empty());
    let exit = plane.terminate();
    let log = plane.log_lines();
    // Said once, not at each look.
    assert_eq!(log.iter().filter(|line| line.contains("log cannot be read")).count(), 1, "{log:?}");
    assert_eq!(exit, Some(0), "{log:?}");
}

#[test]
fn a_daemon_that_is_away_is_waited_for() {
    let site = Site::new(
        "sources: {in: {docker: {socket: '{dir}/none.sock'}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let mut plane = site.start();
    plane.wait_for_log("Docker does not answer");
    let checked = run(&["check", site.path("logrisk.yaml").to_str().unwrap()], "");
    assert!(
        checked.code == 1 && checked.stdout.contains("none.sock"),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}
