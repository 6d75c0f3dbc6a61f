// What a person does with a row: move, peek, correct, clear, undo.
import { all, byId, fill, find, grouped, on, put } from "./text.js";
import { known, mark, rowOf, sets, template } from "./rows.js";

const { pages, page, scopes } = document.body.dataset;
const list = byId("list");
/** Milliseconds: for the second digit of 10, and for an answer. */
const DIGITS = 400;
const ANSWER = 8000;
const undone = [];
const picked = new Set();
const sending = new Map();
/** Corrections that wait for the server, by id. */
const unsent = new Map();
const QUEUE = 20;
let pending, spoken, last;

export const focused = () => document.activeElement?.closest(".list li[data-id]");
const link = (li) => find(li, ".row");

export function say(text, buttons = [], stay) {
	const said = byId("said");
	clearTimeout(spoken);
	said.replaceChildren(text, ...buttons.map(button));
	said.hidden = false;
	put(byId("status"), text);
	const hide = () => {
		if (said.matches(":hover, :focus-within")) spoken = setTimeout(hide, 2000);
		else said.hidden = true;
	};
	if (!stay) spoken = setTimeout(hide, 8000);
}

function button([words, run]) {
	const made = document.createElement("button");
	made.textContent = words;
	on(made, "click", run);
	return made;
}

async function ask(method, path, json) {
	const options = { method, signal: AbortSignal.timeout(ANSWER) };
	if (json) Object.assign(options, { headers: { "Content-Type": "application/json" }, body: JSON.stringify(json) });
	const answer = await fetch(path, options).catch(({ name }) => {
		throw new Error(name === "TimeoutError" ? `no answer in ${ANSWER / 1000} s` : "offline");
	});
	const content = await answer.json().catch(() => ({}));
	if (answer.ok) return content;
	const error = new Error(answer.status === 401 ? "key expired, sign in" : `${answer.status}, ${content.detail}`);
	throw Object.assign(error, content);
}

function note(li, text, buttons) {
	find(li, ".row-note")?.remove();
	if (!text) return;
	const line = document.createElement("p");
	line.className = "row-note";
	line.append(`${text} `, ...buttons.map(button));
	li.append(line);
}

const failed = (li, message, retry) => note(li, `Not saved: ${message}.`, [["Retry", retry]]);

export function focus(li) {
	if (!li) return;
	for (const other of all(list, '.row[tabindex="0"]')) other.tabIndex = -1;
	link(li).tabIndex = 0;
	link(li).focus({ preventScroll: true });
	li.scrollIntoView({ block: "nearest" });
}

function step(by, extend) {
	const rows = all(list, "li[data-id]");
	const here = focused();
	const next = rows[Math.min(rows.length - 1, Math.max(0, rows.indexOf(here) + by))];
	if (extend) for (const li of [here, next]) pick(li, true);
	focus(next);
	if (next !== here && here && find(here, ".peek")) peek(next);
}

function pick(li, chosen = !picked.has(li.dataset.id)) {
	li.classList.toggle("picked", chosen);
	picked[chosen ? "add" : "delete"](li.dataset.id);
}

export function back() {
	const open = find(list, ".open");
	if (open) peek(open);
	focus(focused() ?? last);
}

async function peek(li) {
	const open = find(li, ".peek");
	for (const other of all(list, ".open")) {
		other.classList.remove("open");
		find(other, ".peek").remove();
	}
	if (open) return;
	const box = template("peek");
	li.classList.add("open");
	link(li).after(box);
	press(li);
	const why = find(box, ".why");
	const slow = setTimeout(() => put(why, "Weighing the words"), 100);
	const parts = await ask("GET", `/ui/why/${li.dataset.id}`).catch(({ message }) => [["", `No explanation: ${message}.`]]);
	clearTimeout(slow);
	why.replaceChildren(...parts.map(([quoted, text]) => {
		const part = document.createElement(quoted || "span");
		fill(part, text);
		return part;
	}));
}

function press(li) {
	for (const each of all(li, ".strip button")) each.setAttribute("aria-pressed", each.textContent === li.dataset.risk);
}

/** A digit: shown at once, sent when no second one follows. */
function digit(id, value, typed) {
	const ten = typed && pending?.id === id && pending.value === 1 && value === 0;
	if (ten) {
		clearTimeout(pending.timer);
		value = 10;
	} else flush();
	const ids = picked.has(id) ? [...picked] : [id];
	for (const each of ids) {
		const li = rowOf(each);
		li.was ??= [Number(li.dataset.risk), find(li, ".tags")?.textContent, find(li, ".fill").getAttribute("width") / 4, find(li, ".number").textContent.endsWith("?")];
		sets.set(each, value);
		mark(li, value, "you", value);
		press(li);
	}
	pending = { id, ids, value, timer: setTimeout(flush, typed ? DIGITS : 0) };
}

export function flush() {
	if (!pending) return;
	clearTimeout(pending.timer);
	const { ids, value } = pending;
	pending = null;
	for (const id of ids) correct(id, value);
}

const band = (risk) => ["Routine", "Routine", "Warning", "Error", "Critical", "Critical"][risk >> 1];

async function correct(id, value) {
	const li = rowOf(id);
	if (!li) return;
	const [was, word] = li.was;
	note(li);
	// One at a time, and nothing that another person set is overwritten unseen.
	const json = { pattern_id: id, risk_label: value, unless_set: !/you|set/.test(word) };
	const sent = Promise.resolve(sending.get(id)).then(() => ask("POST", "/feedback", json));
	sending.set(id, sent.catch(() => {}));
	try {
		const { id: number } = await sent;
		settle(li, { risk_label: value, risk_score: value, label_source: "human" }, "you");
		undone.push([`Risk is ${was} again.`, async () => {
			await ask("DELETE", `/feedback/${number}`);
			settle(li, await ask("GET", `/patterns/${id}`));
		}]);
		const moves = page === "now" && band(was) !== band(value) ? ` The row moves to ${band(value)} when you leave.` : "";
		const quiet = pages && was >= pages && value < pages;
		const words = was === value
			? `${value} confirmed.`
			: `Set to ${value}, was ${was}. All ${find(li, ".n")?.textContent ?? ""} lines of this pattern follow now; the next training learns it.${moves}`;
		say(`${words}${quiet ? " This pattern will no longer page." : ""} `, [["Undo (z)", undo]], quiet);
	} catch ({ message, code, detail }) {
		if (message === "offline" && unsent.size < QUEUE) {
			unsent.set(id, value);
			if (unsent.size === 1) setTimeout(resend, 5000);
			return say(`${unsent.size} not sent yet: offline.`, [], true);
		}
		if (sets.delete(id)) mark(li, ...li.was);
		press(li);
		if (code !== "already_set") return failed(li, message, () => digit(id, value));
		const set = () => {
			li.was[1] = "set";
			digit(id, value);
		};
		note(li, detail, [["Keep", () => note(li)], [`Set ${value}`, set]]);
	}
}

function resend() {
	const all = [...unsent];
	unsent.clear();
	for (const each of all) correct(...each);
}

/** The server's word, unless the person typed another since. */
function settle(li, { risk_label, risk_score, label_source, unsure }, word = label_source === "human" ? "set" : "") {
	const { id } = li.dataset;
	Object.assign(known.get(id) ?? {}, { risk_label, risk_score, label_source, unsure, mine: word === "you" });
	if (pending?.ids.includes(id)) return;
	sets.delete(id);
	li.was = undefined;
	mark(li, risk_label, word, risk_score);
	press(li);
}

export async function undo() {
	flush();
	const step = undone.splice(-1)[0];
	if (!step) return say("Nothing to undo.");
	try {
		await step[1]();
		say(step[0]);
	} catch ({ message }) {
		undone.push(step);
		say(`Not undone: ${message}. `, [["Retry", undo]]);
	}
}

async function clear(li, verb, name, words) {
	const path = `/patterns/${li.dataset.id}/${verb}`;
	const { parentElement, nextElementSibling: next } = li;
	const tag = find(li, ".tags");
	const was = tag.textContent;
	const inbox = (by) => was === "new" && put(byId("inbox"), Number(byId("inbox").textContent.replace(/,/g, "")) + by);
	const leaves = verb === "silence" || list.dataset.state === "new";
	const restore = () => {
		if (leaves) parentElement.insertBefore(li, next?.isConnected ? next : null);
		put(tag, was);
		inbox(1);
		focus(li);
	};
	inbox(-1);
	if (was === "new") put(tag, "");
	if (leaves) {
		focus(next ?? li.previousElementSibling);
		li.remove();
	}
	byId("sentence").hidden = Boolean(find(list, "li"));
	try {
		await ask("POST", path, { [name]: true });
		undone.push(["Back again.", async () => {
			await ask("POST", path, { [name]: false });
			restore();
		}]);
		say(`${words} `, [["Undo (z)", undo]]);
	} catch ({ message }) {
		restore();
		failed(li, message, () => clear(li, verb, name, words));
	}
}

function filter(li) {
	const { q } = byId("filters");
	q.value = `${q.value.replace(/\s*source:\S+/, "")} source:${find(li, ".source").textContent}`.trim();
	q.form.requestSubmit();
}

function hide(li) {
	const address = new URL(location.href);
	address.searchParams.set("hide", [address.searchParams.get("hide"), li.dataset.id].filter(Boolean).join());
	history.pushState(null, "", address);
	focus(li.nextElementSibling);
	li.remove();
	say("Hidden from this view. ", [["Show again", () => history.back()]]);
}

function act(li, verb, typed) {
	if (/^\d+$|^[as]$/.test(verb) && !scopes.includes("feedback")) return say("Read-only key: corrections need the scope feedback.");
	if (/\d/.test(verb)) return digit(li.dataset.id, Number(verb), typed);
	const verbs = {
		" ": () => peek(li),
		Open: () => link(li).click(),
		a: () => clear(li, "ack", "acknowledged", "Seen. That teaches nothing; a digit does."),
		s: () => clear(li, "silence", "silenced", "Silenced: out of sight, and it raises no alert."),
		c: () => location.assign(`${link(li).href}#correct`),
		x: () => pick(li),
		f: () => filter(li),
		h: () => hide(li),
	};
	return verb in verbs ? verbs[verb]() : false;
}

/** False if the key is none of ours. Without a focused row j takes the first. */
export function key(event, name) {
	if (name === "z") return undo();
	const li = focused();
	const by = { j: 1, J: 1, ArrowDown: 1, k: -1, ArrowUp: -1, Home: -1e9, End: 1e9 }[name];
	if (by && (li || name === "j")) return step(by, event.shiftKey);
	return li && event.target === link(li) ? act(li, name, true) : false;
}

if (list && !list.dataset.pattern) {
	on(list, "focusin", ({ target }) => {
		const li = target.closest("li[data-id]");
		if (pending && pending.id !== li?.dataset.id) flush();
		last = li ?? last;
		if (target.matches('.row[tabindex="-1"]')) focus(li);
	});
	on(list, "click", (event) => {
		const li = event.target.closest("li[data-id]");
		const { verb } = event.target.closest("[data-verb]")?.dataset ?? {};
		if (verb) return act(li, verb);
		// A click shows why in place, a second one opens.
		const plain = event.detail && !event.ctrlKey && !event.metaKey && !event.shiftKey;
		if (!event.target.closest(".row") || !plain || find(li, ".peek")) return;
		event.preventDefault();
		focus(li);
		peek(li);
	});
}
