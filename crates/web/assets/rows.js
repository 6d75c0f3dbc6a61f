// Rows: clones of the server's template; only slots that changed are written.
import { age, all, at, byId, fill, find, grouped, put } from "./text.js";

/** By id: what was said of a pattern, and risks that are shown but not saved yet. */
export const known = new Map();
export const sets = new Map();
export const template = (name) => byId(name).content.firstElementChild.cloneNode(true);
export const rowOf = (id) => find(document, `.list li[data-id="${id}"]`);

const LEVELS = "trace debug info notice warning warning error error critical critical emergency".split(" ");

export function merge(row) {
	const data = Object.assign(known.get(row.pattern_id) ?? {}, row);
	known.set(row.pattern_id, data);
	return data;
}

export function mark(li, risk, word, score, unsure) {
	li.dataset.risk = risk;
	const number = `${risk}${unsure ? "?" : ""}`;
	put(find(li, ".number"), number);
	put(find(li, ".says"), `Risk ${number}, ${LEVELS[risk]}${word === "new" ? ", new" : ""}.`);
	const bar = find(li, ".fill");
	bar.setAttribute("width", Math.round(4 * score));
	bar.setAttribute("class", `fill r${risk}`);
	const tag = find(li, ".tags");
	if (tag) put(tag, word);
}

export function show(li, data) {
	const part = (name) => find(li, `.row ${name}`);
	const word = data.mine ? "you" : data.label_source === "human" ? "set" : data.novel ? "new" : "";
	if (!sets.has(data.pattern_id)) mark(li, data.risk_label, word, data.risk_score, data.unsure);
	const ranked = part(".tags");
	fill(part(".line"), (ranked && data.masked.trim()) || data.text);
	fill(part(".source"), data.source);
	const time = part("time");
	time.dateTime = data.time;
	if (!ranked) return put(time, at(data.time));
	put(time, age(data.time));
	put(part(".n"), grouped(data.count));
	part(".spark").setAttribute("aria-label", `${grouped(data.count)} lines`);
	part(".spark path").setAttribute("d", data.spark ?? "M93 18v-16h2v16z");
}

export function create(data, kind = "row") {
	const li = template(kind);
	li.dataset.id = data.pattern_id;
	li.firstElementChild.href = `/ui/patterns/${data.pattern_id}`;
	show(li, data);
	return li;
}

export function tick() {
	for (const time of all(document, ".age")) put(time, age(time.dateTime));
}
