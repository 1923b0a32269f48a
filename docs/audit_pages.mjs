// Opens every page of the site in Chromium, light and dark, wide and narrow: axe-core finds nothing
// serious, nothing is wider than the window, and nothing comes from elsewhere or is missing.
// node audit_pages.mjs TOOLS CHROMIUM BASE-URL FOLDER-FOR-PICTURES PAGE…
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [tools, executablePath, base, pictures, ...pages] = process.argv.slice(2);
const require = createRequire(`${tools}/node_modules/`);
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const SIZES = [[1280, 900], [400, 800]];
const SCHEMES = ["light", "dark"];
const SHOWN = ["index", "how-to/run-a-file", "reference/api/dispatching", "for/offline-job", "search"];

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const tab = await browser.newPage();
let wrong = 0;
let loads = 0;
let where = "";
const tell = (text) => {
  wrong += 1;
  console.log(`${where}: ${text}`);
};
tab.on("console", (message) => message.type() === "error" && tell(message.text()));
tab.on("pageerror", (error) => tell(error.message));
tab.on("request", (request) => {
  const url = request.url();
  if (!url.startsWith(base) && !url.startsWith("data:")) tell(`loads ${url}`);
});

const told = new Set();
for (const [width, height] of SIZES) {
  await tab.setViewport({ width, height });
  for (const scheme of SCHEMES) {
    await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const page of pages) {
      where = `${page} (${width} px, ${scheme})`;
      await tab.goto(base + page, { waitUntil: "load" });
      loads += 1;
      const name = page.replace(/\.html$/, "");
      if (pictures && SHOWN.includes(name)) {
        const path = `${pictures}/${name.replaceAll("/", "-")}-${width}-${scheme}.png`;
        await tab.screenshot({ path, fullPage: false });
      }
      const over = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 0) tell(`is ${over} px too wide`);
      await tab.evaluate(axe);
      const result = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      for (const { id, impact, help, nodes } of result.violations) {
        if (impact !== "serious" && impact !== "critical") continue;
        const key = `${id} ${nodes[0].html} ${scheme}`;
        if (!told.has(key)) tell(`${impact}: ${help} (${id}), ${nodes.length} times, ${nodes[0].html}`);
        told.add(key);
      }
    }
  }
}
await browser.close();
console.log(`${pages.length} pages, ${loads} loads: ${wrong} findings`);
process.exit(wrong === 0 ? 0 : 1);
