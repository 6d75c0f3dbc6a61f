//! Headers of applications.

use super::check;

#[test]
fn java() {
    check(&[
        (
            "2024-01-15 10:30:45,123 [main] ERROR com.example.Bar - could not open store",
            "Application | error | com.example.Bar | could not open store",
        ),
        (
            "2024-01-15 10:30:45,123 ERROR [http-nio-8080-exec-7] com.example.OrderService: order 81723 failed",
            "Application | error | com.example.OrderService | order 81723 failed",
        ),
        (
            "10:30:45.123 [pool-2-thread-1] DEBUG c.e.shop.Cache - hit for key 17",
            "Application | debug | c.e.shop.Cache | hit for key 17",
        ),
        (
            "2024-01-15 10:30:45.123  INFO 1 --- [           main] c.e.App      : Started App in 4.2 seconds",
            "Application | info | c.e.App | Started App in 4.2 seconds",
        ),
        (
            "2024-01-15T10:30:45.123Z  WARN 1 --- [shop] [nio-8080-exec-1] o.s.w.s.PageNotFound : No mapping for GET /x",
            "Application | warning | o.s.w.s.PageNotFound | No mapping for GET /x",
        ),
        (
            "10:30:45,123 INFO  [org.jboss.as] (Controller Boot Thread) WFLYSRV0025: started in 2113ms",
            "Application | info | org.jboss.as | WFLYSRV0025: started in 2113ms",
        ),
        (
            "[2024-01-15T10:30:45,123][WARN ][o.e.m.j.JvmGcMonitorService] [node-1] [gc][512] overhead, spent [1s]",
            "Application | warning | o.e.m.j.JvmGcMonitorService | [gc][512] overhead, spent [1s]",
        ),
        (
            "[2024-01-15 10:30:45,123] ERROR [KafkaServer id=0] Fatal error during startup (kafka.server.KafkaServer)",
            "Application | error | kafka.server.KafkaServer | [KafkaServer id=0] Fatal error during startup",
        ),
        (
            "INFO  [main] 2024-01-15 10:30:45,123 StorageService.java:812 - Node is ready",
            "Application | info | StorageService | Node is ready",
        ),
        (
            "WARN  [2024-01-15 10:30:45,123] com.example.Health: database is slow",
            "Application | warning | com.example.Health | database is slow",
        ),
        (
            "15-Jan-2024 10:30:45.123 SEVERE [main] org.apache.catalina.core.StandardContext.startInternal One filter failed",
            "Application | error | org.apache.catalina.core.StandardContext.startInternal | One filter failed",
        ),
        (
            "Jan 15, 2024 10:30:45 AM org.example.Server start\nSEVERE: could not bind\nmore",
            "Application | error | org.example.Server | could not bind\nmore",
        ),
        (
            "2024-01-15 10:30:45,123 - INFO  [Main:QuorumPeer@913] - LOOKING",
            "Application | info | QuorumPeer | LOOKING",
        ),
        (
            "2024-01-15 10:30:45,123 ERROR [Allocator Thread 4] org.example.Allocator: ERROR IN CONTACTING MASTER",
            "Application | error | org.example.Allocator | ERROR IN CONTACTING MASTER",
        ),
        (
            "24/01/15 10:30:45 WARN scheduler.TaskSetManager: Lost task 3.0 in stage 9.0",
            "Application | warning | scheduler.TaskSetManager | Lost task 3.0 in stage 9.0",
        ),
        (
            "240115 103045 148 INFO dfs.DataNode$Receiver: block received",
            "Application | info | dfs.DataNode$Receiver | block received",
        ),
        (
            "2024-01-15 10:30:45,123 ERROR java.lang.OutOfMemoryError: Java heap space",
            "Application | error | - | java.lang.OutOfMemoryError: Java heap space",
        ),
        (
            "2024-01-15 10:30:45,123 ERROR [main] com.example.Bar - boom\njava.io.IOException: x\n\tat com.example.Bar.run(Bar.java:1)",
            "Application | error | com.example.Bar | boom\njava.io.IOException: x\n\tat com.example.Bar.run(Bar.java:1)",
        ),
    ]);
}

#[test]
fn python() {
    check(&[
        ("ERROR:root:could not connect", "Application | error | root | could not connect"),
        (
            "WARNING:urllib3.connectionpool:Retrying (2 left)",
            "Application | warning | urllib3.connectionpool | Retrying (2 left)",
        ),
        (
            "2024-01-15 10:30:45,123 - shop.payments - WARNING - retrying charge",
            "Application | warning | shop.payments | retrying charge",
        ),
        ("2024-01-15 10:30:45,123 - root - ERROR - boom", "Application | error | root | boom"),
        (
            "2024-01-15 10:30:45.123 | ERROR    | shop.jobs:run:12 - job failed",
            "Application | error | shop.jobs | job failed",
        ),
        (
            "[2024-01-15 10:30:45,123: ERROR/MainProcess] Task shop.charge raised unexpected: KeyError('id')",
            "Application | error | - | Task shop.charge raised unexpected: KeyError('id')",
        ),
        (
            "[2024-01-15 10:30:45 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:12)",
            "Application | critical | - | WORKER TIMEOUT (pid:12)",
        ),
        ("INFO:     Application startup complete.", "Application | info | - | Application startup complete."),
        (
            "[2024-01-15T10:30:45.123+0000] {taskinstance.py:1937} ERROR - Task failed with exception",
            "Application | error | - | Task failed with exception",
        ),
        (
            "2024-01-15 10:30:45.123 ERROR (MainThread) [homeassistant.core] Error doing job",
            "Application | error | homeassistant.core | Error doing job",
        ),
        ("[E 10:30:45.123 NotebookApp] 500 GET /tree", "Application | error | NotebookApp | 500 GET /tree"),
        (
            "2024-01-15 10:30:45.071 25746 INFO nova.compute.manager [req-17d97474-1552-40e1-b424-7de7e498d150 - - -] [instance: d6b7] VM Resumed",
            "Application | info | nova.compute.manager | [instance: d6b7] VM Resumed",
        ),
    ]);
}

#[test]
fn databases_and_queues() {
    check(&[
        (
            "2024-01-15 10:30:45.123 UTC [123] ERROR:  deadlock detected",
            "Application | error | - | deadlock detected",
        ),
        (
            "2024-01-15 10:30:45.123 UTC [123] bob@shop FATAL:  password authentication failed for user \"bob\"",
            "Application | fatal | - | password authentication failed for user \"bob\"",
        ),
        (
            "2024-01-15 10:30:45.123 UTC [123] LOG:  checkpoint complete",
            "Application | info | - | checkpoint complete",
        ),
        (
            "2024-01-15 10:30:45 UTC [123]: [5-1] user=bob,db=shop PANIC:  could not write to file",
            "Application | emergency | - | could not write to file",
        ),
        (
            "2024-01-15 10:30:45.123 CET [9] FEHLER:  Syntaxfehler bei »SELEC«",
            "Application | error | - | Syntaxfehler bei »SELEC«",
        ),
        (
            "2024-01-15 10:30:45.123 MSK [9] ОШИБКА:  отношение не существует",
            "Application | error | - | отношение не существует",
        ),
        (
            "2024-01-15T10:30:45.123456Z 0 [Warning] [MY-010068] [Server] CA certificate is self signed.",
            "Application | warning | Server | CA certificate is self signed.",
        ),
        (
            "2024-01-15T10:30:45.123456Z 12 [ERROR] [MY-012574] [InnoDB] Unable to lock ./ibdata1 error: 11",
            "Application | error | InnoDB | Unable to lock ./ibdata1 error: 11",
        ),
        (
            "2024-01-15 10:30:45.123456+00:00 [error] <0.123.0> connection closed",
            "Application | error | - | connection closed",
        ),
        (
            "2024.01.15 10:30:45.123456 [ 123 ] {ab-12} <Error> TCPHandler: Code: 60. DB::Exception",
            "Application | error | TCPHandler | Code: 60. DB::Exception",
        ),
        (
            "2024-01-15T10:30:45.123+0000 I NETWORK  [listener] connection accepted",
            "Application | info | NETWORK | [listener] connection accepted",
        ),
        (
            "1:M 15 Jan 2024 10:30:45.123 # Can't save in background: fork: Cannot allocate memory",
            "Redis | warning | - | Can't save in background: fork: Cannot allocate memory",
        ),
        ("4711:C 15 Jan 2024 10:30:45.123 * DB saved on disk", "Redis | notice | - | DB saved on disk"),
        ("1:S 15 Jan 2024 10:30:45.123 - Reading from socket", "Redis | info | - | Reading from socket"),
        ("1:X 15 Jan 2024 10:30:45.123 . pong", "Redis | debug | - | pong"),
        ("12:M 15 Jan 10:30:45.123 * no year", "Plain | - | - | 12:M 15 Jan 10:30:45.123 * no year"),
    ]);
}

#[test]
fn servers() {
    check(&[
        (
            "2024/01/15 10:30:45 [error] 12#12: *3 open() \"/x\" failed (2: No such file or directory), client: 10.0.0.1",
            "Application | error | - | open() \"/x\" failed (2: No such file or directory), client: 10.0.0.1",
        ),
        (
            "2024/01/15 10:30:45 [emerg] 1#1: host not found in upstream",
            "Application | emergency | - | host not found in upstream",
        ),
        (
            "[Sun Dec 04 04:47:44 2005] [error] [client 10.0.0.1] File does not exist: /var/www/x",
            "Application | error | - | [client 10.0.0.1] File does not exist: /var/www/x",
        ),
        (
            "[Mon Jan 15 10:30:45.123456 2024] [proxy:error] [pid 12:tid 34] (111)Connection refused: AH00957: HTTP",
            "Application | error | proxy | (111)Connection refused: AH00957: HTTP",
        ),
        (
            "[2024-01-15 10:30:45.123][12][warning][config] [source/common/grpc.cc:123] stream closed: 14",
            "Application | warning | config | stream closed: 14",
        ),
        (
            "[15-Jan-2024 10:30:45 UTC] PHP Fatal error:  Uncaught Error: x",
            "Application | fatal | PHP | Uncaught Error: x",
        ),
        (
            "[2024-01-15 10:30:45] production.ERROR: Undefined index {\"id\":1}",
            "Application | error | production | Undefined index {\"id\":1}",
        ),
        ("[10:30:45] [Server thread/WARN]: Can't keep up!", "Application | warning | - | Can't keep up!"),
        ("[10:30:45 INF] Application started", "Application | info | - | Application started"),
    ]);
}

#[test]
fn go_rust_ruby_node_and_dotnet() {
    check(&[
        (
            "2024/01/15 10:30:45 http: TLS handshake error from 10.0.0.1: EOF",
            "Application | - | - | http: TLS handshake error from 10.0.0.1: EOF",
        ),
        ("2024/01/15 10:30:45 main.go:12: listening", "Application | - | - | listening"),
        ("INFO[0042] Starting server    port=8080", "Application | info | - | Starting server    port=8080"),
        (
            "10:30AM ERR could not bind error=\"in use\"",
            "Application | error | - | could not bind error=\"in use\"",
        ),
        (
            "2024-01-15T10:30:45.123Z\tERROR\tcontroller-runtime\tcontroller/c.go:316\tReconciler error\t{\"kind\": \"Pod\", \"error\": \"boom\"}\nmain.run\n\tmain.go:1",
            "Application | error | controller-runtime | Reconciler error\nmain.run\n\tmain.go:1 | kind=Pod error=boom",
        ),
        ("2024-01-15T10:30:45.123Z\tinfo\tstarted", "Application | info | - | started"),
        (
            "[2024-01-15T10:30:45Z ERROR my::module] could not bind",
            "Application | error | my::module | could not bind",
        ),
        (
            "2024-01-15T10:30:45.123456Z  INFO my::module: listening port=80",
            "Application | info | my::module | listening port=80",
        ),
        (
            "E, [2024-01-15T10:30:45.123456 #123] ERROR -- shop: could not charge",
            "Application | error | - | shop: could not charge",
        ),
        (
            "2024-01-15T10:30:45Z E! [outputs.influxdb] Failed to write",
            "Application | error | outputs.influxdb | Failed to write",
        ),
        (
            "2024-01-15T10:30:45.123Z\t0673dd71-34c5-4fbb-86c4-40623fbe45b4\tERROR\tboom",
            "Application | error | - | boom",
        ),
        (
            "2024-01-15T10:30:45.123Z  WARN ThreadId(02) hyper::proto: x",
            "Application | warning | hyper::proto | x",
        ),
        ("Jan 15 10:30:45.123 ERROR app - x", "Application | error | app | x"),
        ("2024-01-15 10:30:45 error: could not bind", "Application | error | - | could not bind"),
        (
            "[Nest] 12  - 01/15/2024, 10:30:45 AM     LOG [NestFactory] Starting",
            "Application | info | NestFactory | Starting",
        ),
        (
            "fail: Shop.Orders.Worker[0]\n      Could not connect",
            "Dotnet | error | Shop.Orders.Worker | Could not connect",
        ),
        (
            "info: Microsoft.Hosting.Lifetime[14] Now listening",
            "Dotnet | info | Microsoft.Hosting.Lifetime | Now listening",
        ),
        ("crit: Shop.Program[1]", "Dotnet | critical | Shop.Program | "),
        ("warn: Shop.Cache[2]\n      slow\n      very", "Dotnet | warning | Shop.Cache | slow\n      very"),
        ("dbug: x y[0]", "Application | debug | - | x y[0]"),
    ]);
}

#[test]
fn level_first() {
    check(&[
        ("INFO nginx started", "Application | info | - | nginx started"),
        ("WARNING disk space low", "Application | warning | - | disk space low"),
        (
            "ERROR kernel panic - not syncing: VFS",
            "Application | error | - | kernel panic - not syncing: VFS",
        ),
        ("CRITICAL OOMKilled", "Application | critical | - | OOMKilled"),
        ("[ERROR] disk failed", "Application | error | - | disk failed"),
        ("[错误] 磁盘已满", "Application | error | - | 磁盘已满"),
        ("警告：空间不足", "Application | warning | - | 空间不足"),
        ("error: failed to push some refs", "Application | error | - | failed to push some refs"),
        ("ERROR: 0 errors found", "Application | error | - | 0 errors found"),
        ("ERROR [404] page not found", "Application | error | - | [404] page not found"),
        ("[ERROR] [frontend] boom", "Application | error | frontend | boom"),
        ("ERROR", "Application | error | - | "),
    ]);
}

#[test]
fn a_level_in_a_message_is_none() {
    for line in [
        "error reading config",
        "GET /error HTTP/1.1",
        "https://example.com/ERROR?level=error is down",
        "Warning signs were found",
        "no ERROR here",
        "errors: none",
        "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:",
        "fatal error: all goroutines are asleep - deadlock!",
        "ERROR_COUNT=0",
        "Fatal mistakes happen",
        "  at com.example.ERROR.run(Error.java:1)",
        "log: x",
        "normal: y",
        "E broke",
    ] {
        assert_eq!(super::parse(line).level, None, "{line}");
        assert_eq!(super::parse(line).message, line, "{line}");
    }
    for (line, message) in [
        ("2024-01-15 10:30:45 error connecting to db", "error connecting to db"),
        ("2024-01-15 10:30:45 received ERROR from upstream", "received ERROR from upstream"),
    ] {
        let parsed = super::parse(line);
        assert_eq!(parsed.message, message, "{line}");
        assert_eq!(parsed.level, None, "{line}");
    }
}
