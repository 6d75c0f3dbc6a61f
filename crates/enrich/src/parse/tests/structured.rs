//! JSON, logfmt and klog.

use super::check;

#[test]
fn json() {
    check(&[
        (
            r#"{"level":"error","ts":1705314645.123,"logger":"shop","caller":"a/b.go:8","msg":"could not place order","order":81,"error":"timed out","stacktrace":"main.a\n\tb.go:1"}"#,
            "Json | error | shop | could not place order\nmain.a\n\tb.go:1 | order=81 error=timed out",
        ),
        (
            r#"{"level":"warning","msg":"slow","time":"2024-01-15T10:30:45Z","took":"3s"}"#,
            "Json | warning | - | slow | took=3s",
        ),
        (
            r#"{"name":"shop","hostname":"n1","pid":7,"level":50,"err":{"name":"Error","message":"boom","stack":"Error: boom\n  at x"},"msg":"failed","time":"2024-01-15T10:30:45.123Z","v":0}"#,
            "Json | error | shop | failed\nError: boom\n  at x | err.name=Error err.message=boom",
        ),
        (
            r#"{"level":30,"time":1705314645123,"pid":7,"hostname":"n1","msg":"started","port":80}"#,
            "Json | info | - | started | port=80",
        ),
        (
            r#"{"@timestamp":"2024-01-15T10:30:45.123Z","log.level":"ERROR","message":"boom","ecs.version":"1.2.0","service.name":"shop","process.thread.name":"main","log.logger":"com.example.A","error.type":"java.io.IOException","error.message":"x","error.stack_trace":"java.io.IOException: x\n\tat A"}"#,
            "Json | error | com.example.A | boom\njava.io.IOException: x\n\tat A | error.type=java.io.IOException error.message=x",
        ),
        (
            r#"{"@timestamp":"2024-01-15T10:30:45.123Z","log":{"level":"warn","logger":"shop"},"message":"slow","host":{"name":"n1"},"event":{"duration":12,"outcome":"failure"}}"#,
            "Json | warning | shop | slow | event.outcome=failure",
        ),
        (
            r#"{"severity":"CRITICAL","message":"quota exceeded","timestamp":"2024-01-15T10:30:45Z","logging.googleapis.com/trace":"t","httpRequest":{"status":429}}"#,
            "Json | critical | - | quota exceeded | httpRequest.status=429",
        ),
        (
            r#"{"@t":"2024-01-15T10:30:45Z","@mt":"Order {Id} failed","@l":"Error","Id":7,"SourceContext":"Shop.Orders","@x":"System.Exception: no\n   at Shop"}"#,
            "Json | error | Shop.Orders | Order {Id} failed\nSystem.Exception: no\n   at Shop | Id=7",
        ),
        (r#"{"@t":"2024-01-15T10:30:45Z","@mt":"Started"}"#, "Json | info | - | Started"),
        (
            r#"{"__CURSOR":"s=1","_HOSTNAME":"n1","PRIORITY":"3","SYSLOG_IDENTIFIER":"kubelet","MESSAGE":"E0115 10:30:45.123456    12 a.go:1] \"Failed\" err=\"boom\""}"#,
            "Klog | error | kubelet | Failed | err=boom",
        ),
        (
            r#"{"version":"1.1","host":"n1","short_message":"disk failed","level":2,"_disk":"sda","timestamp":1705314645.1}"#,
            "Json | critical | - | disk failed | disk=sda",
        ),
        (
            r#"{"t":{"$date":"2024-01-15T10:30:45.123+00:00"},"s":"W","c":"STORAGE","id":22,"ctx":"main","msg":"slow disk","attr":{"ms":3000}}"#,
            "Json | warning | STORAGE | slow disk | id=22 ms=3000",
        ),
        (
            r#"{"timestamp":"2024-01-15T10:30:45Z","level":"INFO","fields":{"message":"listening","port":80},"target":"my::module"}"#,
            "Json | info | my::module | listening | port=80",
        ),
        (
            r#"{"asctime":"2024-01-15 10:30:45,123","levelname":"ERROR","name":"shop.jobs","message":"boom","lineno":3,"exc_info":"Traceback:\n x"}"#,
            "Json | error | shop.jobs | boom\nTraceback:\n x",
        ),
        (
            r#"{"message":"Order failed","context":{"id":7},"level":400,"level_name":"ERROR","channel":"app","datetime":"2024-01-15T10:30:45+00:00","extra":{}}"#,
            "Json | error | app | Order failed | id=7",
        ),
        (
            r#"{"time":"2024-01-15T10:30:45Z","method":"GET","path":"/x","status":503,"user_agent":"curl"}"#,
            "Json | - | - | GET /x | status=503",
        ),
        (r#"{"level":"error","ts":1705314645,"error":"no route"}"#, "Json | error | - | no route"),
        (
            r#"{"msg":"a","level":"info","deep":{"a":{"b":{"c":1}}}}"#,
            r#"Json | info | - | a | deep.a.b={"c":1}"#,
        ),
        (
            r#"{"level":"info","msg":"text with \"level\":\"error\" inside"}"#,
            r#"Json | info | - | text with "level":"error" inside"#,
        ),
        (
            r#"{"level":"info","message":"ERROR: not by its field"}"#,
            "Json | info | - | ERROR: not by its field",
        ),
        (r#"{"log":"ERROR: boom","kubernetes":{"pod_name":"a"}}"#, "Json | error | - | boom"),
        ("{\"level\":\"error\",\"msg\":\"m\"}\n\tat x", "Json | error | - | m\nat x"),
    ]);
}

#[test]
fn no_log_record_in_json_passes_whole() {
    for line in [
        "{",
        "{}",
        "{\"a\":1}",
        "[1,2]",
        "{\"level\":\"error\",\"msg\":\"trunc",
        "{\"level\":\"error\"} and more",
        "{level: error}",
        "{\"level\":}",
        "{\"level\":\"error\",}",
        "{'level':'error'}",
    ] {
        check(&[(line, &format!("Plain | - | - | {line}"))]);
    }
}

#[test]
fn logfmt() {
    check(&[
        (
            r#"time="2024-01-15T10:30:45Z" level=error msg="could not pull" image=shop:1 error="manifest unknown""#,
            "Logfmt | error | - | could not pull | image=shop:1 error=manifest unknown",
        ),
        (
            "ts=2024-01-15T10:30:45.123Z caller=main.go:12 level=warn component=tsdb msg=\"slow \\\"query\\\"\" err=null",
            "Logfmt | warning | tsdb | slow \"query\"",
        ),
        (
            "level=info msg=started without quotes port=80",
            "Logfmt | info | - | started without quotes | port=80",
        ),
        (
            "t=2024-01-15T10:30:45+0000 lvl=eror msg=\"failed\" logger=context status=500",
            "Logfmt | error | context | failed | status=500",
        ),
        (
            "at=error code=H12 desc=\"Request timeout\" method=GET path=\"/x\" host=a status=503 level=error",
            "Logfmt | error | - | GET /x | at=error code=H12 desc=Request timeout status=503",
        ),
        ("level=error err=<nil> msg=done", "Logfmt | error | - | done | err=<nil>"),
        ("key=value", "Plain | - | - | key=value"),
        ("a=b went wrong", "Plain | - | - | a=b went wrong"),
        ("level=error msg=\"open", "Plain | - | - | level=error msg=\"open"),
    ]);
}

#[test]
fn klog() {
    check(&[
        (
            "E0115 10:30:45.123456  1234 file.go:123] sync failed: timeout",
            "Klog | error | - | sync failed: timeout",
        ),
        (
            "E0115 10:30:45.123456       1 pod.go:12] \"Failed to start\" err=\"no \\\"image\\\"\" pod=\"ns/a\" logger=\"kubelet\"",
            "Klog | error | kubelet | Failed to start | err=no \"image\" pod=ns/a",
        ),
        ("I0115 10:30:45.123456 1 a.go:1] \"quoted\" and more", "Klog | info | - | \"quoted\" and more"),
        ("W20240115 10:30:45.123456 12 file.cc:9] slow", "Klog | warning | - | slow"),
        ("F0115 10:30:45.123456 1 a.go:1] first\nsecond", "Klog | fatal | - | first\nsecond"),
        ("E0115 is a flight", "Plain | - | - | E0115 is a flight"),
        ("I0115 10:30:45.123456 1 no place] x", "Plain | - | - | I0115 10:30:45.123456 1 no place] x"),
    ]);
}
