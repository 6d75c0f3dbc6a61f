// Now, live. The stream tells at once what changed; the server's list is the truth and follows within two seconds.
// Nothing moves under a reading eye, and what is sampled or stale is said.
import * as chart from "./chart.js";
import { all, at, byId, find, grouped, on, put } from "./text.js";
import { create, known, merge, rowOf, show, tick } from "./rows.js";
import { flush, focus, focused, say } from "./verbs.js";

const list = byId("list");
const tail = byId("tail");
const bands = all(document, ".band");
const CAPS = [100, 60, 60, 20];
const BACK_OFF = [1, 2, 5, 10];
const RING = 500;
/** Of one browser: six would take all its connections. */
const STREAMS = 4;

const waiting = new Map();
let source, away, paused, lastLine, changed, hover;
let tries = 0, lines = 0, newer = 0, unread = 0, spoke = 0;

const reading = () => hover || focused() || scrollY > list.offsetTop;
const bandOf = (data) => bands.find((band) => data.risk_label >= band.dataset.low && data.risk_label <= band.dataset.high);
const state = (words) => put(byId("live"), words);
const flood = (words) => put(byId("flood"), words);

function enter(data, li = rowOf(data.pattern_id)) {
	const band = bandOf(data);
	if (!band) return;
	const rows = find(band, "ol");
	if (!li) {
		li = create(data);
		li.className = "fresh";
	}
	show(li, data);
	rows.insertBefore(li, [...rows.children].find((other) => other !== li && other.dataset.risk <= data.risk_label) ?? null);
	band.hidden = false;
	if (rows.children.length > CAPS[bands.indexOf(band)]) drop([...rows.children].findLast((other) => other !== focused()));
}

function drop(li) {
	known.delete(li.dataset.id);
	li.remove();
}

/** Numbers change where they are, places only when nobody reads. */
function take(row, force) {
	if (location.search.includes(row.pattern_id)) return;
	const data = merge(row);
	const li = rowOf(row.pattern_id);
	const stays = li && li.closest(".band") === bandOf(data);
	if (li && !paused) show(li, data);
	if (stays || (li && li === focused())) return;
	if (!force && (paused || reading())) waiting.set(row.pattern_id, data);
	else enter(data, li);
}

/** Shows what waited, and moves nothing on the screen. */
export function release() {
	const held = focused() ?? all(list, "li").find((li) => li.getBoundingClientRect().top > 0);
	const top = held?.getBoundingClientRect().top;
	for (const data of waiting.values()) enter(data);
	waiting.clear();
	announce();
	if (held) scrollBy(0, held.getBoundingClientRect().top - top);
}

function announce() {
	const grave = [...waiting.values()].filter((data) => data.risk_label >= 8).length;
	byId("waiting").hidden = !waiting.size || paused;
	put(byId("waiting"), `${grouped(waiting.size)} change${waiting.size === 1 ? " waits" : "s wait"} while you read${grave ? `, ${grave} critical` : ""}. Show .`);
	document.title = `${grave + unread ? `(${grave + unread}) ` : ""}Now · logrisk`;
}

export async function sync(force) {
	const response = await fetch(`/ui/rows${location.search}`, { signal: AbortSignal.timeout(8000) }).catch(() => null);
	if (response?.status === 401) state("Key expired. Sign in.");
	if (!response?.ok) return void (changed = true);
	const answer = await response.json();
	const seen = new Set();
	bands.forEach((band, place) => {
		const { rows, patterns, lines } = answer.bands[place];
		if (force) find(band, "ol").replaceChildren();
		for (const row of rows.toReversed()) {
			seen.add(row.pattern_id);
			take(row, force);
		}
		put(find(band, ".patterns"), grouped(patterns));
		put(find(band, ".lines"), grouped(lines));
		put(find(band, ".more span"), grouped(patterns - rows.length));
		find(band, ".more").hidden = patterns <= rows.length;
		band.hidden = !patterns && !find(band, "li");
	});
	if (!reading() && !paused) for (const li of all(list, ".band li")) if (!seen.has(li.dataset.id)) drop(li);
	byId("sentence").hidden = !answer.sentence;
	put(byId("sentence"), answer.sentence ?? "");
	put(byId("inbox"), answer.inbox);
	put(byId("model"), `model ${answer.model}`);
	list.dataset.api = answer.api;
	chart.replace(answer.chart);
	announce();
	if (!force) return;
	list.dataset.stream = answer.stream;
	stop();
	connect();
}

function rows({ rows: fresh, seen, shown }) {
	changed = true;
	lastLine = fresh.at(-1).time;
	byId("teach")?.remove();
	byId("chart").hidden = byId("columns").hidden = false;
	const grave = fresh.find((row) => row.novel && row.risk_label >= 8 && row.count === 1);
	if (grave && document.hidden) unread += 1;
	if (grave && document.documentElement.dataset.speak === "on" && Date.now() - spoke > 30000) {
		spoke = Date.now();
		put(byId("status"), `New, risk ${grave.risk_label}, ${grave.level}.`);
	}
	if (tail) return append(fresh, seen - shown);
	for (const row of fresh) take(row);
	announce();
	if (paused) return;
	const every = Math.round((seen - fresh.length) / Math.max(1, shown));
	const how = every > 1 ? `: all at 6 and above, 1 in ${every} below` : ", lines of a pattern as one row";
	flood(seen > 50 ? `Showing ${fresh.length} of ${grouped(seen * 4)} lines/s${how}. Counts are complete.` : "");
}

function append(fresh, left) {
	if (innerHeight + scrollY < document.body.scrollHeight - 80 && !paused) pause();
	if (paused) return;
	tail.append(...fresh.map((row) => create(row, "tail-row")));
	if (left) {
		const gap = document.createElement("li");
		gap.className = "skipped";
		gap.textContent = `${grouped(left)} lines not shown`;
		tail.append(gap);
	}
	while (tail.children.length > RING) tail.firstElementChild.remove();
	scrollTo(0, document.body.scrollHeight);
}

function totals(fresh) {
	if (tries && lines) say(`Caught up: ${grouped(Math.max(0, fresh.lines - lines))} lines, counts complete.`);
	tries = 0;
	lines = fresh.lines;
	put(byId("rate"), grouped(fresh.lines_per_second));
	rest();
	tick();
}

function rest() {
	if (paused) flood(`Paused. ${grouped(lines - paused.lines)} lines since ${at(paused.time)}. Resume (p)`);
}

export function pause() {
	paused = paused ? null : { lines, time: Date.now() };
	byId("pause").setAttribute("aria-pressed", !!paused);
	put(byId("pause"), paused ? "Resume p" : "Pause p");
	flood("");
	rest();
	if (paused) return;
	if (tail) scrollTo(0, document.body.scrollHeight);
	else release();
	sync();
}

function connect() {
	if (list.dataset.still || source) return;
	source = new EventSource(list.dataset.stream);
	const told = (name, run) => on(source, name, ({ data }) => run(JSON.parse(data)));
	on(source, "open", () => {
		state("live");
		byId("chart").classList.remove("stale");
		tabs.postMessage(1);
		sync();
	});
	told("rows", rows);
	told("totals", totals);
	told("corrected", () => (changed = true));
	told("model", async () => {
		await sync();
		say(`${byId("model").textContent.replace("m", "M")} live since ${at(Date.now())}. No request failed.`);
	});
	on(source, "bye", lost);
	on(source, "error", lost);
}

function stop() {
	if (source) tabs.postMessage(-1);
	source?.close();
	source = null;
}

function lost() {
	stop();
	state(`Reconnecting.${lastLine ? ` Last line ${at(lastLine)}.` : ""}`);
	byId("chart").classList.add("stale");
	setTimeout(connect, BACK_OFF[Math.min(tries++, 3)] * (800 + 400 * Math.random()));
}

// The oldest of too many tabs goes quiet.
const tabs = new BroadcastChannel("logrisk");
on(tabs, "message", ({ data }) => {
	newer = Math.max(0, newer + data);
	if (newer < STREAMS || !source) return;
	source.close();
	source = null;
	state("");
	say("Live in another tab. ", [["Resume here", () => connect((newer = 0))]], true);
});

if (document.body.dataset.page === "now") {
	on(list, "pointerenter", () => (hover = true));
	on(list, "pointerleave", () => (hover = false));
	on(list, "focusout", ({ target, relatedTarget }) => {
		flush();
		const li = target.closest("li[data-id]");
		const data = known.get(li?.dataset.id);
		// A corrected row moves to its band once it is left.
		if (data && !tail && !li.contains(relatedTarget) && li.closest(".band") !== bandOf(data)) setTimeout(() => li.isConnected && enter(data, li));
	});
	on(byId("waiting"), "click", () => {
		release();
		focus(find(list, "li"));
	});
	on(byId("pause"), "click", pause);
	on(document, "visibilitychange", () => {
		clearTimeout(away);
		if (document.hidden) away = setTimeout(stop, 30000);
		else connect((unread = 0));
	});
	on(window, "pagehide", stop);
	setInterval(() => changed && sync((changed = false)), 2000);
	connect();
}
