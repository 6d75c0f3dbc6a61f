//! Access logs.

use super::check;

#[test]
fn common_and_combined() {
    check(&[
        (
            "10.0.0.1 - - [15/Jan/2024:10:30:45 +0000] \"GET /x HTTP/1.1\" 503 612",
            "Access | - | - | GET /x HTTP/1.1 | status=503",
        ),
        (
            "2001:db8::1 - bob smith [15/Jan/2024:10:30:45 +0000] \"POST /error?level=ERROR HTTP/2\" 200 1 \"https://a.b/\" \"curl/8\"",
            "Access | - | - | POST /error?level=ERROR HTTP/2 | status=200",
        ),
        (
            "10.0.0.1 - - [15/Jan/2024:10:30:45 +0000] \"GET / HTTP/1.1\" 502 1 \"-\" \"curl\" 85 0.003 [default-web-80] [] 10.1.2.3:80 612 0.003 502 abc",
            "Access | - | - | GET / HTTP/1.1 | status=502 upstream=default-web-80",
        ),
        (
            "host.example.com - - [15/Jan/2024:10:30:45 +0000] \"GET /a\\\"b HTTP/1.0\" 404 -",
            "Access | - | - | GET /a\\\"b HTTP/1.0 | status=404",
        ),
        ("10.0.0.1 - - [15/Jan/2024:10:30:45 +0000] \"-\" 408 0", "Access | - | - | - | status=408"),
        (
            "INFO:     127.0.0.1:54321 - \"GET /x HTTP/1.1\" 500 Internal Server Error",
            "Access | info | - | GET /x HTTP/1.1 | status=500",
        ),
        (
            "[15/Jan/2024 10:30:45] \"GET /x HTTP/1.1\" 500 123",
            "Access | - | - | GET /x HTTP/1.1 | status=500",
        ),
        (
            "INFO:werkzeug:127.0.0.1 - - [15/Jan/2024 10:30:45] \"GET /x HTTP/1.1\" 404 -",
            "Access | info | werkzeug | GET /x HTTP/1.1 | status=404",
        ),
        ("10.0.0.1 - - no access line", "Plain | - | - | 10.0.0.1 - - no access line"),
    ]);
}

#[test]
fn envoy() {
    check(&[
        (
            "[2024-01-15T10:30:45.123Z] \"POST /v1 HTTP/2\" 204 - 154 0 226 100 \"10.0.35.28\" \"agent\"",
            "Access | - | - | POST /v1 HTTP/2 | status=204",
        ),
        (
            "[2024-01-15T10:30:45.123Z] \"GET / HTTP/1.1\" 503 UF,URX upstream_reset_before_response_started{connection_failure} - \"-\" 0 95",
            "Access | - | - | GET / HTTP/1.1 | status=503 flags=UF,URX detail=upstream_reset_before_response_started{connection_failure}",
        ),
        (
            "[2024-01-15T10:30:45.123Z] \"GET / HTTP/1.1\" 503 NR \"-\" \"-\" 0 0",
            "Access | - | - | GET / HTTP/1.1 | status=503 flags=NR",
        ),
        ("[2024-01-15T10:30:45.123Z] \"- - -\" 0 UH \"-\" 0 0", "Access | - | - | - - - | status=0 flags=UH"),
        ("[2024-01-15T10:30:45.123Z] \"quoted\" text", "Application | - | - | \"quoted\" text"),
    ]);
}

#[test]
fn haproxy() {
    check(&[
        (
            "Feb  6 12:14:14 host haproxy[12]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {a} {} \"GET /index.html HTTP/1.1\"",
            "HaProxy | - | haproxy | GET /index.html HTTP/1.1 | status=200 backend=static/srv1",
        ),
        (
            "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in app/<NOSRV> 0/-1/-1/-1/0 503 212 - - SC-- 2/2/0/0/3 0/0 \"GET /x HTTP/1.1\"",
            "HaProxy | - | - | GET /x HTTP/1.1 | status=503 backend=app/<NOSRV> termination=SC--",
        ),
        (
            "10.0.1.2:33317 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
            "HaProxy | - | - |  | backend=bck/srv1",
        ),
        (
            "<134>Feb  6 12:14:14 haproxy[12]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in app/s2 0/0/0/-1/8002 504 194 - - sH-- 1/1/1/1/0 0/0 \"POST /pay HTTP/1.1\"",
            "HaProxy | info | haproxy | POST /pay HTTP/1.1 | status=504 backend=app/s2 termination=sH--",
        ),
        (
            "Feb  6 12:14:14 host haproxy[12]: Server app/s2 is DOWN, reason: Layer4 timeout",
            "Syslog | - | haproxy | Server app/s2 is DOWN, reason: Layer4 timeout",
        ),
    ]);
}
