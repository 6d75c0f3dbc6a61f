// Brings the page to life; without it every page is whole.
import { back, focused, key, say } from "./verbs.js";
import { all, byId, find, localise, on } from "./text.js";
import { pause, release, sync } from "./live.js";

const { keys } = document.documentElement.dataset;
const now = document.body.dataset.page === "now";
const list = byId("list");
const filters = byId("filters");
const attempt = byId("try");
const PAGES = { n: "/", p: "/ui/patterns", t: "/ui/try", m: "/ui/models", h: "/ui/health" };
let going = 0;

localise(document);

async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		say("Copied.");
	} catch {
		const field = document.createElement("input");
		field.readOnly = true;
		field.value = text;
		say("Press Ctrl+C.", [], true);
		byId("said").append(field);
		field.select();
	}
}

function copyLink() {
	const id = focused()?.dataset.id;
	copy(id ? `${location.origin}/ui/patterns/${id}` : location.href);
}

/** One line of printable ASCII, so that pasting a hostile line runs nothing but curl. */
function copyCurl() {
	const id = focused()?.dataset.id;
	const logs = attempt?.lines.value.split("\n").filter((line) => line.trim());
	const path = logs ? "/predict/batch" : id ? `/patterns/${id}` : list?.dataset.api;
	if (!path) return;
	const escaped = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
	const json = JSON.stringify({ logs, explain: true }).replace(/['\u007f-\uffff]/g, escaped);
	const data = logs ? ` -H 'Content-Type: application/json' -d '${json}'` : "";
	copy(`curl -H "Authorization: Bearer $LOGRISK_KEY"${data} '${location.origin}${path}'`);
}

const OWN = {
	g: () => (going = Date.now()),
	"/": () => filters?.q.select(),
	"?": () => byId("keys").togglePopover(),
	y: copyLink,
	Y: copyCurl,
	p: () => now && pause(),
	".": () => now && release(),
};

on(document, "keydown", (event) => {
	const { target } = event;
	if (event.key === "Enter" && event.ctrlKey && target.form === attempt) return attempt?.requestSubmit();
	if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
	if (event.key === "Escape" && list) return back();
	if (target.matches("input, textarea, select") || keys === "off") return;
	// AZERTY has other signs where digits are.
	const place = /^Digit(\d)$/.exec(event.code)?.[1];
	const name = /^\d$/.test(event.key) ? event.key : event.shiftKey ? event.key : (place ?? event.key);
	if (Date.now() - going < 1500 && PAGES[name]) return location.assign(PAGES[name]);
	going = 0;
	if (name in OWN) OWN[name]();
	else if (list?.dataset.pattern) find(document, `[aria-keyshortcuts="${CSS.escape(name)}"]`)?.click();
	else if (!list || key(event, name) === false) return;
	event.preventDefault();
});

on(document, "click", ({ target }) => {
	const { verb } = target.closest?.("[data-verb]")?.dataset ?? {};
	if (verb === "y") copyLink();
	if (verb === "Y") copyCurl();
	if (target.matches?.(".copy")) copy(target.previousElementSibling.textContent);
});
for (const each of all(document, "[data-script]")) each.hidden = false;

if (filters) {
	for (const select of all(filters, "select")) on(select, "change", () => filters.requestSubmit());
	let timer;
	on(filters.q, "input", () => {
		clearTimeout(timer);
		if (!now) return;
		timer = setTimeout(() => {
			const address = new URL(location.href);
			address.searchParams.set("q", filters.q.value);
			history.replaceState(null, "", address);
			sync(true);
		}, 300);
	});
	on(window, "popstate", () => location.reload());
}

const first = list?.querySelector(".row");
if (first) first.tabIndex = 0;

// A line enters the address only on request, in the part that no server is sent.
if (attempt) {
	on(byId("link-line"), "click", () => {
		location.hash = encodeURIComponent(attempt.lines.value);
		copyLink();
	});
	if (location.hash.length > 1 && !attempt.lines.value) {
		attempt.lines.value = decodeURIComponent(location.hash.slice(1));
		attempt.requestSubmit();
	}
}
