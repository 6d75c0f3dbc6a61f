use proptest::prelude::*;

use logrisk_base::Level;

use super::{mask_into, mask_text};
use crate::parse::{Parsed, parse};

fn masked(text: &str) -> String {
    let mut out = String::new();
    mask_text(text, &mut out);
    out
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let once = masked(text);
    assert_eq!(once, expected, "{text}");
    assert_eq!(masked(&once), once, "masked twice: {text}");
}

#[test]
fn records_have_one_form() {
    let record = |level,
                  logger: Option<&'static str>,
                  message: &'static str,
                  fields: &[(&'static str, &'static str)]| {
        let fields = fields.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let parsed =
            Parsed { level, logger: logger.map(Into::into), message: message.into(), fields, ..parse("") };
        let mut out = "kept ".to_owned();
        mask_into(&parsed, &mut out);
        let once = out.strip_prefix("kept ").map(ToOwned::to_owned).unwrap();
        assert_eq!(masked(&once), once);
        once
    };
    assert_eq!(record(Some(Level::Warn), Some("sshd"), "x 1", &[]), "warning sshd: x <num>");
    assert_eq!(record(Some(Level::Error), None, "x", &[]), "error: x");
    assert_eq!(record(None, Some("a.B"), " x ", &[]), "a.B: x");
    assert_eq!(record(None, None, "", &[]), "");
    assert_eq!(
        record(
            Some(Level::Info),
            None,
            "done",
            &[("status", "503"), ("exit_code", "137"), ("n", "0"), ("user", "bob")]
        ),
        "info: done status=<5xx> exit_code=137 n=0 user=<id>"
    );
    assert!(record(None, None, "m", &[("key", "value one two"); 400]).len() <= 2048);
}

#[test]
fn plain_text_stays() {
    check("", "");
    check("  \t ", "");
    check("connection refused", "connection refused");
    check(" a\t\tb  c ", "a b c");
    check("Größe überschritten — 超时", "Größe überschritten — 超时");
    check("done. ok... x", "done. ok... x");
}

#[test]
fn times() {
    for time in [
        "2024-01-15T10:30:45.123Z",
        "2024-01-15 10:30:45,123",
        "2024/01/15 10:30:45",
        "2024-01-15T10:30:45+02:00",
        "Jan 15 10:30:45",
        "Jul  3 23:16:09",
        "Wed Jun 22 13:16:30 2005",
        "10/Oct/2000:13:55:36 -0700",
        "03-17 16:13:38.811",
        "20171223-22:15:29:606",
        "17/06/09 20:10:40",
        "10:30:45.123",
        "10:30:45",
        "1700000000",
        "1700000000123",
        "2005-06-03-15.42.50.675872",
        "2005.06.03",
        "2024-01-15",
        "10.30 16:49:06",
        "2024-01-15 10:30:45 +0000 UTC",
        "Mon, 02 Jan 2006 15:04:05 GMT",
        "15 Jan 2024 10:30:45",
        "Jan 15, 2024",
        "20240115T103045Z",
        "15.01.2024",
        "1700000000.123",
        "Sun Dec 04 04:47:44 2005",
        "23:7:6:86",
    ] {
        check(time, "<time>");
        check(&format!("at [{time}] end"), "at [<time>] end");
    }
    check("May 5 things", "May <num> things");
    check("Mon is a day", "Mon is a day");
}

#[test]
fn addresses() {
    check("from 10.0.0.1 port 22", "from <ip> port <num>");
    check("10.0.0.1:8080, 10.0.0.0/24.", "<ip>, <ip>.");
    check("/10.251.7.1:50010 dest", "/<ip> dest");
    check("fe80::1%eth0 ::1 2001:db8::ff00:42:8329", "<ip> <ip>…");
    check("0:0:0:0:0:0:0:0:2181", "<ip>");
    check("std::vector Foo::bar a::b", "std::vector Foo::bar a::b");
    check("link 00:1a:2b:3c:4d:5e up", "link <hex> up");
    check("mail to john.doe@example.com now", "mail to <email> now");
    check("GET https://example.com/a?b=c, then", "GET <url>, then");
    check("jdbc:mysql://db:3306/x", "jdbc:<url>");
    check("proxy.cse.cuhk.edu.hk:5070 open", "<host> open");
    check("at db.prod.svc.cluster.local.", "at <host>.");
    check("java.lang.NullPointerException", "java.lang.NullPointerException");
    check("org.apache.foo.Bar com.apple.cts", "org.apache.foo.Bar com.apple.cts");
    check("server.xml main.go:123", "server.xml main.go:<num>");
    check("node.kubernetes.io/unreachable", "node.kubernetes.io/unreachable");
    check("62.99.164.82.sh.interxion.inode.at", "<host>");
}

#[test]
fn paths() {
    check("open /var/log/syslog: denied", "open <path>: denied");
    check("(/tmp)", "(<path>)");
    check("and/or N/A", "and/or N/A");
    check("GET /healthz HTTP/1.1", "GET /healthz HTTP/1.1");
    check("GET /index.php HTTP/1.1", "GET <path> HTTP/1.1");
    check(r"C:\Windows\System32\x.dll failed", "<path> failed");
    check(r"\\server\share\x", "<path>");
    check("./run.sh ../x/y src/main/java/Foo.java:12", "<path> <path>…:<num>");
    check("image \"docker.io/library/nginx:1.25\"", "image \"<path>:<float>\"");
}

#[test]
fn risk_survives() {
    check("0 errors", "0 errors");
    check("12 errors", "<num> errors");
    check("failed=0 failed=1", "failed=0 failed=<num>");
    check("0.0 0% 0 B", "0 0% 0 B");
    check("status=503", "status=<5xx>");
    check("\"GET / HTTP/1.1\" 503 1234", "\"GET / HTTP/1.1\" <5xx> <num>");
    check("code: 404", "code: <4xx>");
    check("{\"status\":200}", "{\"status\":<2xx>}");
    check("returned 502", "returned <5xx>");
    check("returned 502 rows", "returned <num> rows");
    check("response 500", "response <5xx>");
    check("503 Service Unavailable", "<5xx> Service Unavailable");
    check("exit code 137", "exit code 137");
    check("exited with code 0", "exited with code 0");
    check("exit status 1", "exit status <num>");
    check("signal 9, SIGKILL", "signal 9, SIGKILL");
    check("at 79% 80% 94.9 % 95% 100%", "at <low%> <high%> <high%> <full%> <full%>");
    check("0/3 ready, attempt 1/3, 1 of 3, 3/3", "<0/n> ready, attempt <k/n>, <k/n>, <n/n>");
    check("err=<nil> error=null errno 0 rc=0", "err=<nil> error=null errno 0 rc=0");
    check("[Errno 28] No space left", "[Errno 28] No space left");
    check("failed: -5", "failed: <neg>");
}

#[test]
fn more_risk_survives() {
    check(
        "%LINK-3-UPDOWN: Interface Port-channel39120 down",
        "%LINK-3-UPDOWN: Interface Port-channel<num> down",
    );
    check("ifName ge-0/0/34407", "ifName ge-<num>/<num>…");
    check("expires in 60 days", "expires in <num> days");
    check("GET /orders 503 12ms", "GET <path> <5xx> <ms>");
    check("GET https://example.com/a - 200 12", "GET <url> - <2xx> <num>");
    check("cpu_percent=97 mem_pct=12", "cpu_percent=<full%> mem_pct=<low%>");
    check("statusCode=429 code=7", "statusCode=<4xx> code=<num>");
    check("{\"exitCode\":137,\"restarts\":0}", "{\"exitCode\":137,\"restarts\":0}");
    check("uid=0 uid=1000", "uid=0 uid=<num>");
    check("killed by signal 11 (core dumped)", "killed by signal 11 (core dumped)");
    check("NVRM: Xid (PCI:0000:86:00): 48", "NVRM: Xid (PCI:<hex>): <num>");
}

#[test]
fn amounts() {
    check("45.1s", "<sec>");
    check("300 ms, 0.3s, 1m3.2s, 10 minutes, 2h", "<ms>, <ms>, <min>, <min>…");
    check("12 KB and 4.5GiB and 512M", "<size> and <size>…");
    check("705 bytes sent", "<size> sent");
    check("0.32285523", "<float>");
    check("1,234,567 rows", "<num> rows");
    check("1, 2, 3, 4", "<num>, <num>…");
    check("5m", "<min>");
}

#[test]
fn names() {
    check("node-03 eth0", "node-<num> eth<num>");
    check("blk_-1608999687919862906", "blk_<num>");
    check("attempt_2015_0001_m_000_0", "attempt_<id>");
    check("web-7c5ddbdf54-x2v9k", "web-<id>");
    check(
        "ipv4 IPv6 utf8 UTF-8 x86_64 http2 s3 k8s EXT4-fs sha256 log4j",
        "ipv4 IPv6 utf8 UTF-8 x86_64 http2 s3 k8s EXT4-fs sha256 log4j",
    );
    check("v1 V2 v2beta1 TLSv1.3 HTTP/1.1 HTTP/2", "v1 V2 v2beta1 TLSv1.3 HTTP/1.1 HTTP/2");
    check("v1.26.3", "v<num>");
    check("ORA-00600 E11000", "ORA-<num> E11000");
    check("0x1f2a 0x0 9f4ef63 deadbeef01", "<hex> 0x0 <hex> <hex>");
    check("req-38101a0b-2096-447d-96ea-a692162415ae", "req-<uuid>");
    check("sshd[24200]: x", "sshd[<num>]: x");
    check("# of <*> %s %d {} item", "<id> of <id> <id> <num> <id> item");
}

#[test]
fn lists() {
    check("delete blk_1 blk_2 blk_-3 blk_4 end", "delete blk_<num> blk_<num>… end");
    check("iar 0x1 dear 2 iar 0x1 dear 2 iar 0x1 dear 2", "iar <hex> dear <num> iar <hex>… dear <num>");
    check("failed 0 failed 0 failed 5", "failed 0 failed 0 failed <num>");
    check("nodes 40-63", "nodes <num>-<num>");
}

#[test]
fn users() {
    check("Invalid user bob from 1.2.3.4", "Invalid user <id> from <ip>");
    check("Invalid user root from 1.2.3.4", "Invalid user root from <ip>");
    check("check pass; user unknown", "check pass; user unknown");
    check("euid=0 user=bob", "euid=0 user=<id>");
    check("session closed for user news", "session closed for user <id>");
    check("No more user authentication methods", "No more user authentication methods");
}

#[test]
fn attacks() {
    check("GET /../../../etc/passwd HTTP/1.1", "GET <path> <attack> HTTP/1.1");
    check("GET /x?q=<script>alert(1)</script> y", "GET <path> <attack> y");
    check("q=${jndi:ldap://x/a}", "q=${jndi:<url>} <attack>");
    check("x() {\n\t:; }; echo", "x() { :; }; echo <attack>");
    check("\"() { :; }; x\"", "\"() { :; }; x\" <attack>");
    check("id=1 union select 2", "id=<num> union select <num> <attack>");
    check("name=' or 1=1 --", "name=' or <num>=<num> -- <attack>");
    check("adduser: lock /etc/passwd", "adduser: lock <path>");
    check("GET /a?f=/etc/passwd x", "GET <path> <attack> x");
}

#[test]
fn bounded() {
    let long = "word 12 ".repeat(5000);
    assert!(masked(&long).len() <= 2048);
    let attack = format!("<script>alert(1)</script> {}", "word ".repeat(2000));
    assert!(masked(&attack).ends_with("word <attack>"));
    let giant = "x".repeat(100_000);
    assert!(masked(&giant).len() <= 2048);
    assert!(masked(&"é".repeat(10_000)).len() <= 2048);
}

/// Each of these once made some step look at the rest of the text again and again.
#[test]
fn time_is_linear() {
    for part in [
        "a@",
        "0@",
        "1.1.1.1-",
        "A/",
        "/a,",
        "1,234,",
        "aa:",
        "/?",
        "1..",
        "a.",
        "1 ",
        "\\\\a\\b,",
        "Jan ",
        "user ",
        "{",
        "%A-",
    ] {
        let text = part.repeat(2_000_000 / part.len());
        let start = std::time::Instant::now();
        assert!(masked(&text).len() <= 2048 + 9);
        assert!(start.elapsed().as_secs() < 10, "{part}: {:?}", start.elapsed());
    }
}

#[test]
fn frames_collapse() {
    let trace = "java.io.IOException: x\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\n\tat a.B.e(B.java:3)\nCaused by: y";
    check(trace, "java.io.IOException: x at a.B.c(B.java:<num>) at a.B.d(B.java:<num>) Caused by: y");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics_and_settles(text in "\\PC{0,200}") {
        let once = masked(&text);
        prop_assert_eq!(masked(&once), once);
    }

    #[test]
    fn never_panics_on_log_like_text(text in "([ -~]|[0-9:./-]|[a-f0-9_]|\n|\t|<num>|<ip>|é|…){0,80}") {
        let once = masked(&text);
        prop_assert_eq!(masked(&once), once);
    }
}
