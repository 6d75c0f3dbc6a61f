// The chart: drawn by the server, with a cursor that tells each bucket and picks a range.
import { all, at as clock, byId, find, grouped, on, put } from "./text.js";

const NAMES = ["emergency", "critical", "error", "warning"];
const plot = byId("plot");
let data = null;
let at = null;
let from = null;

const draw = (path, d) => path.setAttribute("d", d);

export function replace(fresh) {
	data = fresh;
	draw(byId("volume"), data.volume);
	draw(byId("ticks"), data.ticks);
	NAMES.forEach((name, level) => draw(find(plot, `.${name}`), data.levels[level][1]));
	put(byId("top"), data.top);
	put(byId("middle"), data.middle);
	put(byId("volume-top"), data.volume_top);
	byId("no-lines").hidden = !data.empty;
	all(document, ".times time").forEach((time, place) => put(time, clock(data.times[place], "short")));
	tell();
}

function tell() {
	const end = data.counts.length - 1;
	const [low, high] = at === null ? [0, end] : [Math.min(at, from ?? at), Math.max(at, from ?? at)];
	const sum = [0, 0, 0, 0, 0];
	for (const bucket of data.counts.slice(low, high + 1)) bucket.forEach((lines, level) => (sum[level] += lines));
	const time = (place) => clock(1000 * second(place));
	const when = at === null ? "in view" : `${time(low)} to ${time(high + 1)}`;
	const words = [...NAMES, "all"].map((name, level) => `${name} ${grouped(sum[level])}`);
	put(byId("bucket"), `${when}  ${words.join("  ")}${at === null ? "" : "  Enter narrows"}`);
	plot.setAttribute("aria-valuenow", at ?? end);
	plot.setAttribute("aria-valuetext", `${when}: ${words.join(", ")}`);
	const wide = Math.floor(720 / data.counts.length);
	byId("cursor").setAttribute("x", low * wide);
	byId("cursor").setAttribute("width", at === null ? 0 : (high - low + 1) * wide);
}

const second = (place) => Math.round(data.begin + (place * data.seconds) / data.counts.length);

function narrow() {
	const address = new URL(location.href);
	address.searchParams.set("from", second(Math.min(at, from ?? at)));
	address.searchParams.set("to", second(Math.max(at, from ?? at) + 1));
	location.assign(address);
}

const inside = (place) => Math.max(0, Math.min(data.counts.length - 1, place));

function point(event) {
	if (!data) return;
	const box = plot.getBoundingClientRect();
	at = inside(Math.floor(((event.clientX - box.left) / box.width) * data.counts.length));
	if (event.type === "pointerdown") from = at;
	else if (!event.buttons) from = null;
	tell();
}

if (plot) {
	on(plot, "pointerdown", point);
	on(plot, "pointermove", point);
	on(plot, "pointerup", () => from !== null && from !== at && narrow());
	on(plot, "pointerleave", () => {
		at = from = null;
		if (data) tell();
	});
	on(plot, "keydown", (event) => {
		const by = { ArrowLeft: -1, ArrowRight: 1, Home: -999, End: 999 }[event.key];
		if (!data || !(by || (event.key === "Enter" && at !== null))) return;
		event.preventDefault();
		if (!by) return narrow();
		from = event.shiftKey ? (from ?? at) : null;
		at = inside((at ?? data.counts.length) + by);
		tell();
	});
}
