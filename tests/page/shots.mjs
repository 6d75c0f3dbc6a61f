// Takes pictures of every page and of what is rare, for a person to look at: node shots.mjs FOLDER
import { mkdir } from "node:fs/promises";
import { incident, launch, open, serve, until } from "./harness.js";

const folder = process.argv[2] ?? "shots";
await mkdir(folder, { recursive: true });
const [browser, own] = await Promise.all([launch(), serve()]);
await incident(own);
const { patterns } = await own.json("/patterns?limit=500");
const id = patterns.find((row) => row.masked.includes("EXT4")).pattern_id;
const pages = { now: "/", inbox: "/ui/patterns", pattern: `/ui/patterns/${id}`, try: "/ui/try", models: "/ui/models", health: "/ui/health" };
const live = (page) => page.waitForFunction(() => document.getElementById("live")?.textContent === "live");
const shot = (page, name) => page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });

for (const theme of ["light", "dark"]) {
  for (const wide of [true, false]) {
    const page = await open(browser, { wide, theme });
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(own.origin + path);
      await page.waitForTimeout(300);
      await shot(page, `${name}-${theme}-${wide ? "wide" : "phone"}`);
    }
    await page.context().close();
  }
}

const page = await open(browser);
await page.goto(own.origin);
await live(page);
const session = await page.context().newCDPSession(page);
for (const type of ["achromatopsia", "deuteranopia"]) {
  await session.send("Emulation.setEmulatedVisionDeficiency", { type });
  await shot(page, `now-${type}`);
}
await session.send("Emulation.setEmulatedVisionDeficiency", { type: "none" });
await page.emulateMedia({ forcedColors: "active" });
await shot(page, "now-forced-colours");
await page.emulateMedia({ forcedColors: "none", contrast: "more" });
await shot(page, "now-more-contrast");
await page.emulateMedia({ contrast: "no-preference" });

await page.route("**/feedback", (route) => route.fulfill({ status: 503, contentType: "application/json", body: '{"code":"x","detail":"model is loading"}' }));
await page.locator(".list .row").first().focus();
await page.keyboard.press("2");
await page.locator(".row-note").first().waitFor();
await shot(page, "now-failed");
const words = "amber birch cedar delta ember fjord grove heath islet jetty knoll ledge marsh north ocean".split(" ");
await own.ingest(words.flatMap((one) => words.map((other) => `ERROR ${one} met ${other}`)).join("\n"), "noisy");
await page.goto(`${own.origin}/ui/patterns`);
await shot(page, "inbox-flooded");
const { active } = await own.json("/models");
await page.goto(`${own.origin}/ui/models/${active}`);
await shot(page, "compare");
await page.goto(own.origin);
await live(page);
let flood = true;
const flooding = (async () => {
  while (flood) await own.ingest(Array.from({ length: 1000 }, (_, number) => `INFO GET /${words[number % 15]} 200`).join("\n"));
})();
await until(async () => (await page.textContent("#flood")).startsWith("Showing"), "a flood", 20_000);
await shot(page, "now-flooded");
flood = false;
await flooding;
await own.stop();
await page.locator("#live", { hasText: "Reconnecting" }).waitFor();
await shot(page, "now-reconnecting");
await browser.close();
