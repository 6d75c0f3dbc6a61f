// Lines are hostile: only textContent, and what cannot be seen becomes a chip that names it. The same as text.rs.
const PART =
	/(<[a-z][a-z0-9_:%+/-]{0,29}>)|\x1b(\[[ -?]{0,32}[@-~])|(?<=\p{M}{4})(\p{M}+)|([\0-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufffd\u{e0000}-\u{e01ef}])\4*/gu;
const NAMES = { "\n": "⏎", "\t": "⇥", "\x1b": "ESC" };

export const byId = (id) => document.getElementById(id);
export const find = (root, what) => root.querySelector(what);
export const all = (root, what) => [...root.querySelectorAll(what)];
export const on = (target, event, run) => target.addEventListener(event, run);

export function fill(element, text) {
	if (element.raw === text) return;
	element.raw = text;
	const parts = [];
	let from = 0;
	for (const { 0: all, 1: mask, 2: control, 3: marks, 4: hidden, index } of text.matchAll(PART)) {
		parts.push(text.slice(from, index));
		from = index + all.length;
		const part = document.createElement("span");
		part.className = mask ? "class" : "chip";
		part.textContent = mask ?? (control ? `ESC${control}` : marks ? times("mark", marks.length) : named(hidden, all));
		parts.push(part);
	}
	element.replaceChildren(...parts, text.slice(from));
}

const times = (name, count) => (count > 1 ? `${name} ×${count}` : name);
const named = (one, run) =>
	times(NAMES[one] ?? `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`, run.length / one.length);

export function put(element, text) {
	if (element.textContent !== String(text)) element.textContent = text;
}

export const grouped = (number) => number.toLocaleString("en-US");

export function age(time) {
	const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(time)) / 1000));
	const [size, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "m"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
	return `${Math.floor(seconds / size)} ${unit}`;
}

const timeZone = document.documentElement.dataset.zone === "utc" ? "UTC" : undefined;
const FORMS = { short: { timeStyle: "short" }, clock: { timeStyle: "medium" }, day: { dateStyle: "medium", timeStyle: "short" } };

export const at = (time, form = "clock") => new Date(time).toLocaleString("en-GB", { ...FORMS[form], timeZone });

export function localise(root) {
	for (const time of all(root, "time[datetime]")) {
		if (time.className in FORMS) put(time, at(time.dateTime, time.className));
	}
}
