// A server of its own port, a browser, and what tests do with both.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const BINARY = process.env.LOGRISK ?? new URL("../../target/debug/logrisk", import.meta.url).pathname;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Starts a server; port 0 lets the system choose. */
export async function serve(args = [], port = 0) {
  const child = spawn(BINARY, ["serve", "--port", String(port), "--threads", "1", ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface({ input: child.stderr });
  let log = "";
  const origin = await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      log = `${log}${line}\n`.slice(-4000);
      const found = /listening on (https?:\/\/[^\s"]+)/.exec(line);
      if (found) resolve(found[1]);
    });
    child.once("exit", () => reject(new Error(`the server ended:\n${log}`)));
  });
  await until(async () => (await fetch(`${origin}/readyz`)).ok, "the server is ready", 60_000);
  return {
    origin,
    port: Number(new URL(origin).port),
    async stop(signal = "SIGKILL") {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, "exit");
    },
    async ingest(lines, source = "test") {
      const answer = await fetch(`${origin}/ingest?source=${encodeURIComponent(source)}`, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        body: lines,
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${answer.status} ${text}`);
      return JSON.parse(text);
    },
    async json(path, options) {
      return (await fetch(`${origin}${path}`, options)).json();
    },
  };
}

export async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), "logrisk-page-"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Waits for a condition. */
export async function until(condition, what, milliseconds = 10_000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    try {
      const found = await condition();
      if (found) return found;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    if (Date.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const launch = () =>
  chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc"] });

/** Style and scripts from a folder, to try them without a build. */
function fromFolder(route) {
  const name = new URL(route.request().url()).pathname.split("/").at(-1);
  const body = readFileSync(join(process.env.ASSETS, name));
  const contentType = { css: "text/css", js: "text/javascript", svg: "image/svg+xml" }[name.split(".").at(-1)];
  return route.fulfill({ contentType, headers: { "content-length": String(body.length) }, body });
}

/** A page that remembers what it should not have done. */
export async function open(browser, { wide = true, theme = "light", script = true, ...options } = {}) {
  const context = await browser.newContext({
    viewport: wide ? { width: 1440, height: 900 } : { width: 390, height: 844 },
    hasTouch: !wide,
    colorScheme: theme,
    javaScriptEnabled: script,
    timezoneId: "UTC",
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  if (process.env.ASSETS) await page.route("**/ui/a/**", fromFolder);
  page.faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("dialog", (dialog) => {
    page.faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return page;
}

/** Lines of an evening that went wrong: [source, line, how often]. */
export const INCIDENT = [
  ["etcd", "2026-03-09T03:08:55Z critical etcdserver: cluster has no leader, 2 members unreachable for 31s", 38],
  ["node-03", "kernel: EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0", 2],
  ["node-03", "kernel: Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", 1],
  ["ingress", '2026/03/09 03:09:10 [error] 31#31: *2605 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 192.0.2.7, server: shop.example', 910],
  ["payments", 'level=error msg="charge failed" err="connection refused" attempt=3', 120],
  ["payments", "Traceback (most recent call last): File \"/app/pay.py\", line 71, in run: psycopg2.OperationalError: server closed the connection unexpectedly", 14],
  ["db", "FATAL:  remaining connection slots are reserved for non-replication superuser connections", 31],
  ["cert-manager", "W0309 03:00:12.000000 1 certs.go:12] certificate for shop.example.com expires in 6 days", 1],
  ["node-07", "systemd[1]: docker.service: Main process exited, code=exited, status=2/INVALIDARGUMENT", 3],
  ["api", 'level=warn msg="slow request" path=/cart duration_ms=2210', 240],
  ["api", "WARN retrying request to inventory, attempt 2 of 5", 77],
  ["kubelet", "E0309 03:07:01.000000 1 pod_workers.go:190] Error syncing pod, failed to StartContainer for \"api\" with CrashLoopBackOff", 22],
  ["sshd", "sshd[2211]: Failed password for root from 203.0.113.9 port 4211 ssh2", 64],
  ["api", "INFO GET /health 200 in 3 ms", 6120],
  ["api", 'level=info msg="order placed" order=756613 items=5', 1801],
  ["payments", "INFO starting payments-api v2.14.0", 6],
  ["coredns", '[INFO] 10.42.4.34:57090 - 31197 "A IN api.cardnet.example.com. udp 62 false 512" NOERROR qr,aa,rd 106 0.000462s', 2400],
  ["etcd", "INFO leader changed 3 times in 60s", 9],
];

export async function incident(server) {
  for (const [source, line, count] of INCIDENT) await server.ingest(`${line}\n`.repeat(count), source);
}
