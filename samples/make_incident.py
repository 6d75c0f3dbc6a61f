#!/usr/bin/env python3
"""Writes incident.log: five hours of a shop's Kubernetes cluster, in which something goes wrong.

Every line is invented here; the formats are those of the real programs. The same script gives the same bytes:
    python3 samples/make_incident.py > samples/incident.log
The story, and where its cause hides, is in README.md beside this file.
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone

SEED = 20251112
START = datetime(2025, 11, 12, 2, 0, 0, tzinfo=timezone.utc)
NODES = ["worker-a1", "worker-a2", "worker-b1", "worker-b2"]
PATHS = ["/", "/cart", "/checkout", "/api/orders", "/api/orders/{}", "/api/payments", "/catalog?page={}", "/login",
         "/static/app.js", "/static/app.css", "/api/search?q=lamp", "/healthz"]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1)", "okhttp/4.12.0",
          "ShopApp/5.8.1 (Android 15)", "curl/8.9.1"]

rng = random.Random(SEED)
lines = []


def at(clock, seconds=0.0):
    """The moment of a clock time such as "05:31:07" of the night."""
    hour, minute, second = (int(part) for part in clock.split(":"))
    return START.replace(hour=hour, minute=minute, second=second) + timedelta(seconds=seconds)


def put(when, text):
    lines.append((when, len(lines), text))


def hexadecimal(digits):
    return "".join(rng.choice("0123456789abcdef") for _ in range(digits))


def ip():
    return f"10.42.{rng.randint(0, 7)}.{rng.randint(2, 250)}"


def client():
    """An address of the ranges that are reserved for documentation (RFC 5737)."""
    return f"{rng.choice(['192.0.2', '198.51.100', '203.0.113'])}.{rng.randint(1, 250)}"


def pod(app):
    return f"{app}-{POD_HASH[app]}-{rng.choice(POD_ENDS[app])}"


POD_HASH = {name: hexadecimal(9) for name in ["payments-api", "orders", "ingress-nginx-controller", "coredns"]}
POD_ENDS = {name: [hexadecimal(5) for _ in range(2)] for name in POD_HASH}


# ---- how each program writes ------------------------------------------------------------------------------------

def klog(when, level, source, message):
    stamp = when.strftime("%m%d %H:%M:%S.") + f"{when.microsecond:06d}"
    put(when, f"{level}{stamp} {rng.choice([1, 1, 918, 1204]):>7} {source}] {message}")


def syslog(when, host, program, message):
    put(when, f"{when.strftime('%b %d %H:%M:%S')} {host} {program}: {message}")


def etcd(when, level, caller, message, **fields):
    record = {"level": level, "ts": when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond:06d}Z",
              "caller": caller, "msg": message, **fields}
    put(when, json.dumps(record, separators=(",", ":")))


def payments(when, level, logger, message, **fields):
    record = {"@timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z",
              "log.level": level, "log.logger": logger, "message": message,
              "service.name": "payments-api", "kubernetes.pod.name": pod("payments-api"), **fields}
    put(when, json.dumps(record, separators=(",", ":")))


def orders(when, level, message, **fields):
    stamp = when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
    rest = "".join(f" {key}={value}" for key, value in fields.items())
    put(when, f'time={stamp} level={level} msg="{message}"{rest}')


def postgres(when, level, message, session="payments@shop"):
    stamp = when.strftime("%Y-%m-%d %H:%M:%S.") + f"{when.microsecond // 1000:03d} UTC"
    put(when, f"{stamp} [{rng.randint(90, 9000)}] {session} {level}:  {message}")


def access(when, path, status, seconds, method="GET", upstream="default-orders-8080"):
    size = rng.randint(180, 24_000) if status < 400 else rng.choice([157, 160, 562])
    put(when, f'{client()} - - [{when.strftime("%d/%b/%Y:%H:%M:%S +0000")}] "{method} {path} HTTP/2.0" {status} {size} '
              f'"-" "{rng.choice(AGENTS)}" {rng.randint(40, 900)} {seconds:.3f} [{upstream}] [] {ip()}:8080 '
              f'{size} {seconds:.3f} {status} {hexadecimal(32)}')


def ingress_error(when, level, message):
    stamp = when.strftime("%Y/%m/%d %H:%M:%S")
    put(when, f"{stamp} [{level}] {rng.choice([31, 32, 33])}#{rng.choice([31, 32, 33])}: *{rng.randint(10_000, 99_999)} {message}")


def coredns(when, message):
    put(when, message)


def reconcile(when, level, message):
    stamp = when.strftime("%Y-%m-%d %H:%M:%S,") + f"{when.microsecond // 1000:03d}"
    put(when, f"{stamp} - reconcile - {level} - {message}")


POOL_TRACE = ("java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out "
              "after {}ms (total=3, active=3, idle=0, waiting={})\n"
              "\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:686)\n"
              "\tat com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:179)\n"
              "\tat com.zaxxer.hikari.HikariDataSource.getConnection(HikariDataSource.java:100)\n"
              "\tat com.example.shop.payments.LedgerRepository.reserve(LedgerRepository.java:88)\n"
              "\tat com.example.shop.payments.PaymentService.authorise(PaymentService.java:141)\n"
              "\tat com.example.shop.payments.PaymentController.post(PaymentController.java:57)")


# ---- the ordinary night -----------------------------------------------------------------------------------------

def moments(count, begin, end):
    """Random moments between two clock times."""
    first, last = at(begin), at(end)
    span = (last - first).total_seconds()
    return [first + timedelta(seconds=rng.uniform(0, span)) for _ in range(count)]


def routine():
    for when in moments(900, "02:00:00", "05:24:00") + moments(130, "05:24:00", "07:00:00"):
        path = rng.choice(PATHS).format(rng.randint(1, 9_999))
        status = rng.choices([200, 304, 201, 404, 401], [80, 8, 5, 5, 2])[0]
        access(when, path, status, rng.uniform(0.004, 0.19))
    for when in moments(260, "02:00:00", "05:24:00") + moments(40, "05:24:00", "07:00:00"):
        message, fields = rng.choice([
            ("payment authorised", {"amount_cents": rng.randint(499, 30_000), "duration_ms": rng.randint(18, 90)}),
            ("payment captured", {"provider": "cardnet", "duration_ms": rng.randint(40, 210)}),
            ("card verification passed", {"attempt": 1}),
            ("webhook delivered", {"target": "orders", "http.response.status_code": 200}),
            ("fraud score computed", {"score": round(rng.uniform(0.01, 0.4), 2), "rules_failed": 0}),
        ])
        payments(when, "INFO", "c.e.s.payments.PaymentService", message, **fields, **{"trace.id": hexadecimal(32)})
    for when in moments(300, "02:00:00", "05:24:00") + moments(60, "05:24:00", "07:00:00"):
        message, fields = rng.choice([
            ("order placed", {"order": rng.randint(700_000, 799_999), "items": rng.randint(1, 7)}),
            ("order shipped", {"order": rng.randint(700_000, 799_999), "carrier": "dhl"}),
            ("stock reserved", {"sku": f"LMP-{rng.randint(100, 999)}", "remaining": rng.randint(3, 900)}),
            ("outbox flushed", {"events": rng.randint(1, 40), "errors": 0, "duration": f"{rng.randint(2, 30)}ms"}),
            ("cache refreshed", {"entries": rng.randint(8_000, 9_000), "err": "<nil>"}),
        ])
        orders(when, rng.choice(["info", "info", "info", "debug"]), message, **fields)
    for minute in range(0, 300, 5):
        when = START + timedelta(minutes=minute, seconds=rng.uniform(2, 20))
        buffers = rng.randint(40, 900)
        postgres(when, "LOG", "checkpoint starting: time", session="@")
        postgres(when + timedelta(seconds=rng.uniform(20, 90)), "LOG",
                 f"checkpoint complete: wrote {buffers} buffers ({buffers / 163.84:.1f}%); 0 WAL file(s) added, 0 removed, "
                 f"1 recycled; write={rng.uniform(4, 80):.3f} s, sync={rng.uniform(0.001, 0.02):.3f} s, total={rng.uniform(5, 81):.3f} s", session="@")
    for when in moments(70, "02:00:00", "07:00:00"):
        table = rng.choice(["orders", "ledger", "sessions", "outbox"])
        postgres(when, "LOG", rng.choice([
            f'automatic vacuum of table "shop.public.{table}": index scans: 1',
            f'automatic analyze of table "shop.public.{table}"',
            f"connection received: host={ip()} port={rng.randint(32_000, 60_000)}",
            "connection authorized: user=payments database=shop application_name=payments-api SSL enabled (protocol=TLSv1.3)",
        ]), session="@")
    for when in moments(190, "02:00:00", "07:00:00"):
        app = rng.choice(list(POD_HASH))
        name = rng.choice(["orders", "web"])
        klog(when, "I", *rng.choice([
            ("kubelet.go:2421", f'"SyncLoop (PLEG): event for pod" pod="shop/{pod(app)}" event={{"ID":"{hexadecimal(12)}","Type":"ContainerStarted"}}'),
            ("prober.go:107", f'"Probe succeeded" probeType="Readiness" pod="shop/{pod(app)}" containerName="{app}"'),
            ("image_gc_manager.go:210", f'"Disk usage on image filesystem is within limits" usage={rng.randint(57, 63)} highThreshold=85'),
            ("reconciler_common.go:299", f'"Volume detached for volume" volumeName="{name}-config" node="{rng.choice(NODES)}"'),
            ("kubelet_volumes.go:163", f'"Cleaned up orphaned pod volumes dir" podUID="{hexadecimal(8)}" errors=0'),
        ]))
    for when in moments(170, "02:00:00", "07:00:00"):
        klog(when, "I", *rng.choice([
            ("trace.go:236", f'Trace[{rng.randint(10**8, 10**9)}]: "List" url:/api/v1/pods,user-agent:kube-controller-manager (total time: {rng.randint(501, 640)}ms)'),
            ("controller.go:667", 'quota admission added evaluator for: jobs.batch'),
            ("httplog.go:132", f'"HTTP" verb="GET" URI="/api/v1/namespaces/shop/endpoints" latency="{rng.uniform(0.6, 4):.3f}ms" resp=200'),
            ("alloc.go:330", f'"allocated clusterIPs" service="shop/web-{rng.randint(1, 9)}"'),
            ("cidrallocator.go:277", "updated ClusterIP allocator for Service CIDR 10.43.0.0/16"),
        ]))
    for when in moments(90, "02:00:00", "07:00:00"):
        klog(when, "I", "schedule_one.go:302", f'"Successfully bound pod to node" pod="shop/thumbnailer-{hexadecimal(5)}" '
             f'node="{rng.choice(NODES)}" evaluatedNodes=4 feasibleNodes={rng.randint(2, 4)}')
    for when in moments(190, "02:00:00", "07:00:00"):
        index = rng.randint(48_000_000, 48_900_000)
        level, caller, message, fields = rng.choice([
            ("info", "mvcc/kvstore_compaction.go:68", "finished scheduled compaction", {"compact-revision": index, "took": f"{rng.randint(40, 140)}ms"}),
            ("info", "mvcc/hash.go:151", "storing new hash", {"hash": rng.randint(10**8, 4 * 10**9), "revision": index}),
            ("info", "etcdserver/server.go:2132", "saved snapshot", {"snapshot-index": index}),
            ("info", "fileutil/purge.go:85", "purged", {"path": f"/var/lib/etcd/member/snap/{hexadecimal(16)}.snap"}),
            ("debug", "v3rpc/interceptor.go:182", "request stats", {"time spent": f"{rng.randint(200, 900)}µs", "response count": 1, "response error": ""}),
        ])
        etcd(when, level, caller, message, **fields)
    for when in moments(380, "02:00:00", "07:00:00"):
        name = rng.choice(["payments-api.shop.svc.cluster.local.", "postgres.data.svc.cluster.local.", "api.cardnet.example.com.",
                           "orders.shop.svc.cluster.local.shop.svc.cluster.local."])
        code = "NXDOMAIN" if name.count("cluster.local") == 2 else "NOERROR"
        coredns(when, f'[INFO] {ip()}:{rng.randint(30_000, 60_000)} - {rng.randint(1, 65_000)} "A IN {name} udp 62 false 512" '
                      f'{code} qr,aa,rd 106 0.000{rng.randint(100, 900)}s')
    for when in moments(230, "02:00:00", "07:00:00"):
        node = rng.choice(NODES)
        program, message = rng.choice([
            ("kernel", f"[{rng.randint(800_000, 900_000)}.{rng.randint(100_000, 999_999)}] cni0: port {rng.randint(2, 30)}(veth{hexadecimal(8)}) entered forwarding state"),
            ("kernel", f"[{rng.randint(800_000, 900_000)}.{rng.randint(100_000, 999_999)}] IPv6: ADDRCONF(NETDEV_CHANGE): veth{hexadecimal(8)}: link becomes ready"),
            ("systemd[1]", "Started Daily apt download activities."),
            ("systemd[1]", f"run-containerd-runc-k8s.io-{hexadecimal(12)}.mount: Deactivated successfully."),
            ("chronyd[611]", f"Selected source 10.42.0.1 (ntp-{rng.randint(1, 3)}.example.com)"),
        ])
        syslog(when, node, program, message)
    for when in moments(100, "02:00:00", "07:00:00"):
        klog(when, "I", *rng.choice([
            ("controller.go:138", '"cert-manager/certificates-readiness: finished processing work item" key="shop/web-tls"'),
            ("conditions.go:203", 'Setting lastTransitionTime for Certificate "web-tls" condition "Ready"'),
            ("sync.go:68", '"cert-manager/orders: synced order" resource_name="web-tls-1" status="valid"'),
        ]))
    for half_hour in range(10):
        begin = START + timedelta(minutes=30 * half_hour + 7, seconds=rng.uniform(0, 3))
        count = rng.randint(900, 2_400)
        reconcile(begin, "INFO", f"run {812 + half_hour} started, window 30 min, plugins: csv_export, error_reporter")
        reconcile(begin + timedelta(seconds=4), "INFO", f"compared {count} ledger entries with provider report")
        if begin < at("05:20:00"):
            reconcile(begin + timedelta(seconds=5), "INFO", f"run {812 + half_hour} finished: {count} matched, 0 missing, 0 errors")


# ---- loud and harmless ------------------------------------------------------------------------------------------

def red_herrings():
    for when in moments(12, "02:00:00", "05:10:00"):
        klog(when, "I", "log.go:245", f"http: TLS handshake error from 10.42.0.1:{rng.randint(30_000, 60_000)}: EOF")
    for when in moments(5, "02:10:00", "05:00:00"):
        klog(when, "E", "controller.go:167", '"re-queuing item due to optimistic locking on resource" err="Operation cannot be '
             'fulfilled on certificates.cert-manager.io \\"web-tls\\": the object has been modified; please apply your changes '
             'to the latest version and try again"')
    for when in moments(6, "02:00:00", "05:00:00"):
        coredns(when, f"[ERROR] plugin/errors: 2 {rng.randint(10**18, 9 * 10**18)}.{rng.randint(10**8, 10**9)}. HINFO: read udp {ip()}:41021->10.0.0.2:53: i/o timeout")
    for when in moments(6, "02:00:00", "05:00:00"):
        postgres(when, "ERROR", 'duplicate key value violates unique constraint "outbox_event_id_key"', session="orders@shop")
        postgres(when, "DETAIL", f"Key (event_id)=({hexadecimal(8)}) already exists.", session="orders@shop")
        orders(when + timedelta(seconds=0.01), "info", "event already stored, skipped", retry="false")
    for when in moments(6, "02:20:00", "04:50:00"):
        orders(when, "warn", "payment provider sandbox check failed, sandbox is optional", attempt=1)
    syslog(at("02:41:12"), "worker-b2", "kernel", "[812345.113020] mce: [Hardware Error]: Machine check events logged: 0 corrected errors since boot")
    syslog(at("03:30:02"), "worker-a1", "smartd[702]", "Device: /dev/nvme0 [NVMe], SMART health: PASSED, media errors: 0")
    klog(at("03:05:31"), "I", "issuing_controller.go:312", '"Renewing certificate as renewal was scheduled" key="shop/web-tls" renewalTime="2025-11-12T03:05:00Z"')
    klog(at("03:05:58"), "I", "issuing_controller.go:365", '"The certificate has been successfully issued" key="shop/web-tls"')
    when = at("04:12:20")
    klog(when, "I", "eviction_manager.go:366", '"Eviction manager: no pods are evicted, nothing above threshold"')
    for second in (0, 21, 44):
        klog(at("02:33:10", second), "W", "kubelet.go:1703", '"Deleted mirror pod as it didn\'t match the static Pod" pod="kube-system/kube-vip-worker-a2"')
    reconcile(at("04:37:20"), "INFO", "dead letter file errors.csv is empty, nothing to send")
    access(at("04:02:51"), "/wp-login.php", 404, 0.003)
    access(at("04:02:52"), "/.env", 404, 0.003)


# ---- the cause and what follows ---------------------------------------------------------------------------------

def incident():
    # The cause: one INFO line says it, three hours before anything is loud.
    when = at("03:12:04")
    klog(when, "I", "event.go:389", '"Event occurred" object="shop/payments-api" kind="Deployment" type="Normal" reason="ScalingReplicaSet" '
         'message="Scaled up replica set payments-api-' + POD_HASH["payments-api"] + ' from 0 to 2"')
    payments(at("03:12:07"), "INFO", "o.s.c.bootstrap.ConfigServicePropertySourceLocator",
             "located property source configmap payments-api-config revision 119 (was 118, change: tidy up pool settings)")
    for second in (9, 14):
        payments(at("03:12:00", second), "INFO", "c.z.hikari.HikariConfig", "HikariPool-1 - maximumPoolSize.................3", thread="main")
        payments(at("03:12:00", second + 0.2), "INFO", "c.z.hikari.HikariConfig", "HikariPool-1 - connectionTimeout...............30000", thread="main")
        payments(at("03:12:00", second + 0.4), "INFO", "c.z.hikari.HikariDataSource", "HikariPool-1 - Start completed.", thread="main")
        payments(at("03:12:00", second + 2), "INFO", "c.e.s.payments.Application", f"Started Application in {rng.uniform(6, 9):.3f} seconds", thread="main")
    postgres(at("03:12:30"), "LOG", "54 client connections closed, 6 remain for user payments", session="@")

    # Quiet signs: waiting grows with the morning's traffic.
    for minute, waiting in enumerate([0, 0, 1, 0, 2, 1, 3, 2, 4, 6, 9, 14]):
        payments(at("04:24:00") + timedelta(minutes=5 * minute), "INFO", "c.z.hikari.pool.HikariPool",
                 f"HikariPool-1 - Pool stats (total=3, active={min(3, 1 + waiting)}, idle={max(0, 2 - waiting)}, waiting={waiting})")
    for when in moments(14, "05:02:00", "05:24:00"):
        access(when, "/api/payments", 201, rng.uniform(2.1, 9.8), method="POST", upstream="shop-payments-api-8080")
    for when in moments(8, "05:08:00", "05:24:00"):
        orders(when, "warn", "payment call slow", order=rng.randint(700_000, 799_999), duration=f"{rng.uniform(5, 14):.1f}s")

    # Loud: the pool is empty, callers time out, retries make it worse.
    for when in moments(48, "05:24:00", "06:31:00"):
        waiting = rng.randint(18, 190)
        payments(when, "ERROR", "c.e.s.payments.PaymentController", "unhandled exception while handling POST /api/payments",
                 **{"error.type": "java.sql.SQLTransientConnectionException", "trace.id": hexadecimal(32),
                    "error.stack_trace": POOL_TRACE.format(30_000 + rng.randint(0, 9), waiting)})
    for when in moments(130, "05:24:00", "06:32:00"):
        orders(when, "error", "payment failed, order kept as pending", order=rng.randint(700_000, 799_999),
               attempt=rng.choice(["1/5", "2/5", "3/5"]), err='"Post http://payments-api:8080/api/payments: context deadline exceeded"')
    for when in moments(30, "05:40:00", "06:32:00"):
        orders(when, "error", "giving up on payment", order=rng.randint(700_000, 799_999), attempt="5/5", err='"payments-api returned 500"')
    for when in moments(150, "05:24:00", "06:33:00"):
        status = rng.choices([504, 500, 503], [60, 30, 10])[0]
        access(when, rng.choice(["/api/payments", "/checkout", "/api/orders"]), status,
               60.0 + rng.uniform(0, 0.01) if status == 504 else rng.uniform(29.9, 30.2), method="POST", upstream="shop-payments-api-8080")
    for when in moments(45, "05:25:00", "06:33:00"):
        ingress_error(when, "error", "upstream timed out (110: Operation timed out) while reading response header from upstream, "
                      f'client: {client()}, server: shop.example.com, request: "POST /api/payments HTTP/2.0", upstream: "http://{ip()}:8080/api/payments"')
    for when in moments(24, "05:31:00", "06:32:00"):
        klog(when, "I", "prober.go:107", f'"Probe failed" probeType="Liveness" pod="shop/{pod("payments-api")}" containerName="payments-api" '
             'probeResult="failure" output="Get \\"http://10.42.3.17:8080/actuator/health\\": context deadline exceeded"')
    for when in moments(8, "05:34:00", "06:30:00"):
        klog(when, "I", "kuberuntime_manager.go:1027", f'"Message for Container of pod" containerName="payments-api" pod="shop/{pod("payments-api")}" '
             'containerMessage="Container payments-api failed liveness probe, will be restarted"')
    for when in moments(14, "05:44:00", "06:31:00"):
        klog(when, "E", "pod_workers.go:1301", f'"Error syncing pod, skipping" err="failed to \\"StartContainer\\" for \\"payments-api\\" with '
             f'CrashLoopBackOff: \\"back-off {rng.choice(["40s", "1m20s", "2m40s"])} restarting failed container=payments-api '
             f'pod={pod("payments-api")}_shop\\"" pod="shop/{pod("payments-api")}"')
    for when in moments(6, "05:50:00", "06:30:00"):
        ingress_error(when, "error", f'no live upstreams while connecting to upstream, client: {client()}, server: shop.example.com, '
                      'request: "POST /api/payments HTTP/2.0", upstream: "http://shop-payments-api-8080/api/payments"')
    for when in moments(9, "05:33:00", "06:29:00"):
        postgres(when, "LOG", "could not receive data from client: Connection reset by peer")
        postgres(when + timedelta(seconds=0.01), "LOG", "unexpected EOF on client connection with an open transaction")
    postgres(at("05:58:40"), "LOG", f"process 4711 still waiting for ShareLock on transaction {rng.randint(10**7, 10**8)} after 1000.123 ms")
    reconcile(at("05:37:12"), "WARNING", "ledger slow, compare took 214 s")
    when = at("06:07:44")
    reconcile(when, "ERROR", "run 820 failed\nTraceback (most recent call last):\n"
              '  File "/app/reconcile/main.py", line 71, in run\n    report = compare(ledger, provider)\n'
              '  File "/app/reconcile/compare.py", line 33, in compare\n    raise MissingEntries(missing)\n'
              "reconcile.errors.MissingEntries: 218 payments at the provider have no ledger entry")

    # The end: somebody finds it, rolls back, and the backlog drains.
    payments(at("06:33:02"), "INFO", "o.s.c.bootstrap.ConfigServicePropertySourceLocator",
             "located property source configmap payments-api-config revision 120 (was 119, change: revert revision 119)")
    for second in (5, 11):
        payments(at("06:33:00", second), "INFO", "c.z.hikari.HikariConfig", "HikariPool-1 - maximumPoolSize.................30", thread="main")
        payments(at("06:33:00", second + 0.4), "INFO", "c.z.hikari.HikariDataSource", "HikariPool-1 - Start completed.", thread="main")
    for minute, waiting in enumerate([3, 0, 0]):
        payments(at("06:36:00") + timedelta(minutes=5 * minute), "INFO", "c.z.hikari.pool.HikariPool",
                 f"HikariPool-1 - Pool stats (total=30, active={12 - 3 * minute}, idle={18 + 3 * minute}, waiting={waiting})")
    orders(at("06:41:30"), "info", "pending orders drained", recovered=431, failed=0)
    reconcile(at("06:37:12", 20), "INFO", "run 821 finished: 218 late entries matched, 0 missing, 0 errors")


routine()
red_herrings()
incident()
lines.sort(key=lambda line: line[:2])
sys.stdout.reconfigure(encoding="utf-8", newline="\n")
for _, _, text in lines:
    print(text)
