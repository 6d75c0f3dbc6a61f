use proptest::prelude::*;

use super::*;

/// The records that a text's lines are joined into.
fn records(text: &str) -> Vec<String> {
    let mut joiner = Joiner::default();
    let mut records: Vec<String> = Vec::new();
    for line in text.lines() {
        match (joiner.push(line, false), records.last_mut()) {
            (Step::Continue, Some(record)) => {
                record.push('\n');
                record.push_str(line);
            }
            (Step::Append, Some(record)) => record.push_str(line),
            _ => records.push(line.to_owned()),
        }
    }
    records
}

/// Each trace must be one record, alone, after and before ordinary lines.
fn check(trace: &str) {
    let before = "2026-01-05T10:00:00Z INFO request served";
    let after = "2026-01-05T10:00:01Z INFO request served";
    assert_eq!(records(trace), [trace], "alone");
    assert_eq!(
        records(&format!("{before}\n{trace}\n{after}\n{after}")),
        [before, trace, after, after],
        "between"
    );
    assert_eq!(records(&format!("{trace}\n{after}")), [trace, after], "first");
}

#[test]
fn java() {
    check(
        "2026-01-05 10:00:00 ERROR [main] c.a.Cart - checkout failed\n\
         java.lang.IllegalStateException: no stock\n\
         \tat shop.Cart.add(Cart.java:41)\n\
         \tat java.base/java.lang.Thread.run(Thread.java:833)\n\
         \tSuppressed: java.io.IOException: close failed\n\
         \t\tat shop.Db.close(Db.java:9)\n\
         \t\t... 2 more\n\
         Caused by: java.net.ConnectException: Connection refused\n\
         \tat java.base/sun.nio.ch.Net.connect0(Native Method)\n\
         \t... 12 more",
    );
    check("Exception in thread \"main\" java.lang.NullPointerException\n\tat Main.main(Main.java:3)");
    check(
        "ERROR x\njava.lang.Error\n        at a.B.c(B.java:1)\nSuppressed: java.io.IOException: x\n        at a.B.d(B.java:2)",
    );
}

#[test]
fn python() {
    check(
        "2026-01-05 10:00:00,123 ERROR worker: job failed\n\
         Traceback (most recent call last):\n\
         \x20 File \"/app/worker.py\", line 10, in run\n\
         \x20   job()\n\
         \x20   ~~~^^\n\
         KeyError: 'id'\n\
         \n\
         During handling of the above exception, another exception occurred:\n\
         \n\
         Traceback (most recent call last):\n\
         \x20 File \"/app/worker.py\", line 12, in run\n\
         \x20   raise JobError(\"bad\") from e\n\
         app.errors.JobError: bad",
    );
    check(
        "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\nZeroDivisionError: division by zero",
    );
    check("E0105 root: Traceback (most recent call last):\n  File \"x.py\", line 1\nValueError: x");
}

#[test]
fn two_tracebacks_are_two_records() {
    let trace = "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nValueError: x";
    assert_eq!(records(&format!("{trace}\n{trace}")), [trace, trace]);
}

#[test]
fn go() {
    check(
        "panic: runtime error: invalid memory address or nil pointer dereference\n\
         [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4f1a2b]\n\
         \n\
         goroutine 1 [running]:\n\
         main.(*Server).handle(0x0, {0xc00001c0a8, 0x5})\n\
         \t/src/main.go:12 +0x1d\n\
         main.main()\n\
         \t/src/main.go:20 +0x25\n\
         created by main.start in goroutine 7\n\
         \t/src/main.go:8 +0x3c\n\
         exit status 2",
    );
    check(
        "2026/01/05 10:00:00 http: panic serving 10.0.0.1:5: boom\ngoroutine 34 [running]:\nnet/http.(*conn).serve.func1()\n\t/go/src/net/http/server.go:1 +0xbf",
    );
    check(
        "fatal error: concurrent map writes\n\ngoroutine 7 [running]:\nmain.f(...)\n\t/src/a.go:1\n\nrax    0x0\nrip    0x45f1a1",
    );
}

#[test]
fn node() {
    check(
        "/app/server.js:12\n\
         throw new Error('no port')\n\
         ^\n\
         \n\
         Error: no port\n\
         \x20   at Object.<anonymous> (/app/server.js:12:7)\n\
         \x20   at node:internal/main/run_main_module:28:49 {\n\
         \x20 code: 'E_PORT'\n\
         }\n\
         \n\
         Node.js v22.1.0",
    );
    check(
        "node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\n\nError: Cannot find module 'x'\n    at Module._load (node:internal/modules/cjs/loader:1:2)\n\nNode.js v18.0.0",
    );
    check(
        "TypeError: Cannot read properties of undefined (reading 'id')\n    at f (/app/a.js:1:2)\n    at async g (file:///app/b.mjs:3:4)",
    );
}

#[test]
fn dotnet() {
    check(
        "Unhandled exception. System.InvalidOperationException: failed\n\
         \x20---> System.IO.IOException: disk\n\
         \x20  at App.Db.Write() in /src/Db.cs:line 4\n\
         \x20  --- End of inner exception stack trace ---\n\
         \x20  at App.Program.Main(String[] args) in /src/Program.cs:line 9\n\
         --- End of stack trace from previous location ---\n\
         \x20  at App.Program.Run()",
    );
    check(
        "fail: Microsoft.AspNetCore.Server.Kestrel[13]\n      Connection id \"0HM\", Request id \"1\": An unhandled exception was thrown.\n      System.Exception: x\n         at A.B()",
    );
}

#[test]
fn ruby() {
    check(
        "app.rb:7:in `div': divided by 0 (ZeroDivisionError)\n\tfrom app.rb:7:in `run'\n\tfrom app.rb:12:in `<main>'",
    );
}

#[test]
fn rust() {
    check(
        "thread 'main' panicked at src/main.rs:7:5:\n\
         called `Option::unwrap()` on a `None` value\n\
         stack backtrace:\n\
         \x20  0: rust_begin_unwind\n\
         \x20            at /rustc/abc/library/std/src/panicking.rs:645:5\n\
         \x20  1: main::run\n\
         note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
    );
    check(
        "thread 'main' panicked at 'boom', src/main.rs:2:5\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    );
    check("thread 'a' panicked at src/a.rs:1:1:\nassertion `left == right` failed\n  left: 1\n right: 2");
}

#[test]
fn bodies() {
    check("response body: {\n  \"error\": {\n    \"code\": 7\n  },\n  \"items\": [\n    1\n  ]\n}");
    check("<error>\n  <code>7</code>\n</error>");
    check("2026-01-05 10:00:00 LOG:  statement: SELECT 1\n\tFROM t\n\tWHERE x");
}

#[test]
fn private_keys_stay_whole() {
    check(
        "loaded -----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nq8x/9+Zs\n-----END RSA PRIVATE KEY-----",
    );
}

#[test]
fn ordinary_lines_stay_apart() {
    let apart = [
        "INFO a\nINFO b\n\nINFO c",
        // postgres: records that explain others are records.
        "2026-01-05 10:00:00 ERROR:  duplicate key\n2026-01-05 10:00:00 DETAIL:  Key exists.\nHINT:  x\nSTATEMENT:  y",
        // Everything is indented alike, or the line has a header of its own.
        "  one\n  two\n  three",
        "INFO a\n  2026-01-05T10:00:00Z INFO b\n  ERROR c\n  [WARN] d\n 10:20:30 e",
        "}\n]\n)",
        "note: a\nexit status 1\nCaution\nSuppressed errors: 0\n...",
        "INFO all good\nTraceback (most recent call last):",
    ];
    for text in apart {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(records(text), lines);
    }
}

#[test]
fn deeper_lines_continue_where_all_is_indented() {
    assert_eq!(records("  a\n    b\n  c"), ["  a\n    b", "  c"]);
}

#[test]
fn torn_lines_are_appended() {
    let mut joiner = Joiner::default();
    let lines = [
        ("one ", true),
        ("two ", true),
        ("three", false),
        ("INFO four", false),
        ("  five ", true),
        ("six", false),
    ];
    let steps = lines.map(|(content, partial)| joiner.push(content, partial));
    use Step::{Append, Begin, Continue};
    assert_eq!(steps, [Begin, Append, Append, Begin, Continue, Append]);
}

#[test]
fn a_record_is_bounded_in_lines_and_bytes() {
    let mut joiner = Joiner::new(Limits { lines: 3, bytes: 1000 });
    let steps: Vec<Step> =
        (0..6).map(|line| joiner.push(if line == 0 { "x" } else { "\tat a" }, false)).collect();
    assert_eq!(steps.iter().filter(|step| **step == Step::Begin).count(), 2);
    let mut joiner = Joiner::new(Limits { lines: 100, bytes: 10 });
    let steps = ["12345678", "\tat", "90"].map(|content| joiner.push(content, true));
    assert_eq!(steps, [Step::Begin, Step::Begin, Step::Append]);
}

#[test]
fn reset_begins_anew() {
    let mut joiner = Joiner::default();
    joiner.push("panic: x", false);
    joiner.reset();
    assert_eq!(joiner.push("\t/src/a.go:1", false), Step::Begin);
}

proptest! {
    #[test]
    fn groups_give_back_all_lines(lines in prop::collection::vec(prop_oneof![
        "\\PC{0,40}",
        "[ \t]{0,4}(at |Caused by: |Traceback \\(most recent call last\\):|panic: |goroutine 1 \\[running\\]:|\\^|\\{|\\}|note: )\\PC{0,8}",
    ], 0..40), torn in prop::collection::vec(any::<bool>(), 40)) {
        let mut joiner = Joiner::new(Limits { lines: 8, bytes: 200 });
        let mut groups: Vec<String> = Vec::new();
        for (line, torn) in lines.iter().zip(&torn) {
            let step = joiner.push(line, *torn);
            match (step, groups.last_mut()) {
                (Step::Begin, _) => groups.push(line.clone()),
                (_, None) => prop_assert!(false, "the first line must begin a record"),
                (Step::Continue, Some(group)) => { group.push('\n'); group.push_str(line) }
                (Step::Append, Some(group)) => group.push_str(line),
            }
        }
        let all: String = groups.concat().replace('\n', "");
        prop_assert_eq!(all, lines.concat());
        prop_assert!(groups.iter().all(|group| group.len() <= 200 || !group.contains('\n')));
    }
}
