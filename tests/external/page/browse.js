"use strict";
// Looks at the page with a real browser and prints what was found as JSON. Called by test_page.py:
//   node browse.js COMMAND URL [FOLDER], with NODE_PATH, and CHROMIUM naming the browser.
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [command, url, folder] = process.argv.slice(2);
const origin = new URL(url).origin;

/** A page in a browser context of its own, and everything that went wrong in it. */
async function open(browser, options = {}, address = url) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  const seen = { complaints: [], foreign: [], answers: [] };
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text()); });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("dialog", (dialog) => { seen.complaints.push("dialog: " + dialog.message()); dialog.dismiss(); });
  page.on("request", (request) => { if (!request.url().startsWith(origin)) seen.foreign.push(request.url()); });
  page.on("response", (answer) => seen.answers.push(answer.status()));
  await page.goto(address);
  return { page, seen, context };
}

/** What axe finds. Its script comes through the driver, past the page's policy. */
async function axe(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((each) => ({ id: each.id, impact: each.impact, nodes: each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)) }));
}

/** Elements and attributes that the page never has of itself: whatever is found came in as markup. */
const strangers = (page) => page.evaluate(() => {
  const known = new Set(("html head meta title style body a svg path circle g text textpath textPath header div span button main footer p time nav script h1 h2 h3 h4 section " +
    "dl dt dd small strong ul ol li form label input select option table caption thead tbody tr th td details summary article code pre figure figcaption").split(" "));
  const found = [];
  for (const element of document.querySelectorAll("*")) {
    if (!known.has(element.localName)) found.push(element.localName);
    for (const attribute of element.attributes) {
      if (attribute.name.startsWith("on") || attribute.name === "style" || /^\s*javascript:/i.test(attribute.value)) found.push(attribute.name);
    }
  }
  if (document.scripts.length !== 1) found.push(document.scripts.length + " scripts");
  if (window.pwned) found.push("it ran");
  return found;
});

const focused = (page) => page.evaluate(() => {
  const e = document.activeElement;
  const style = getComputedStyle(e);
  const node = e.querySelector && e.querySelector("circle");
  const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || (node !== null && parseFloat(getComputedStyle(node).strokeWidth) >= 3);
  return { tag: e.localName, name: e.getAttribute("aria-label") || e.textContent.trim().slice(0, 60) || e.name || "", href: e.getAttribute("href"), id: e.id, ring };
});

const commands = {
  /** axe in both schemes and on a telephone, and screenshots of what it looked at. */
  async looks(browser) {
    const found = {};
    const views = [
      ["light", { colorScheme: "light" }],
      ["dark", { colorScheme: "dark" }],
      ["narrow", { colorScheme: "light", viewport: { width: 400, height: 800 } }],
    ];
    for (const [name, options] of views) {
      const { page, seen, context } = await open(browser, options);
      // Before a picture is taken and axe runs: both leave attributes behind.
      const strange = await strangers(page);
      await page.screenshot({ path: path.join(folder, name + ".png"), fullPage: false });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      found[name] = { violations: await axe(page), complaints: seen.complaints, foreign: seen.foreign, sideways_pixels: wide, strangers: strange };
      await context.close();
    }
    return found;
  },

  /** What axe says when the page is broken on purpose. */
  async seeded(browser) {
    const { page } = await open(browser);
    await page.evaluate(() => {
      document.documentElement.removeAttribute("lang");
      document.querySelector("input[type=search]").closest("label").replaceWith(document.querySelector("input[type=search]"));
      document.querySelector("input[type=search]").removeAttribute("placeholder");
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(".lead{color:#999 !important;background:#aaa !important}");
      document.adoptedStyleSheets = [sheet];
    });
    return { violations: await axe(page) };
  },

  /** What the search for strangers says when one text is not escaped. */
  async unescaped(browser) {
    const html = await (await fetch(url)).text();
    const { page } = await open(browser);
    const escaped = "&lt;img src=x";
    const at = html.indexOf(escaped);
    await page.setContent(html.slice(0, at) + "<img src=x" + html.slice(at + escaped.length).replace("&gt;", ">"));
    return { replaced: at > 0, strangers: await strangers(page) };
  },

  /** Every stop of the Tab key from the top, and what Enter does on the way. */
  async keys(browser) {
    const { page, seen } = await open(browser);
    const stops = [];
    for (let i = 0; i < 600; i += 1) {
      await page.keyboard.press("Tab");
      const stop = await focused(page);
      if (stop.tag === "body" || (stops.length && stop.id === stops[0].id && stop.href === stops[0].href && stop.tag === stops[0].tag)) break;
      stops.push(stop);
    }
    const links = await page.evaluate(() => [...document.querySelectorAll("a,button,input:not([type=hidden]),select,summary")].filter((e) => e.getClientRects().length).length);
    // The first stop leads past the head.
    await page.goto(url);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    const afterSkip = await page.evaluate(() => document.getElementById("content").contains(document.activeElement));
    // Typing and Enter filter; a heading sorts; a name leads to the spoke.
    await page.focus("input[type=search]");
    await page.keyboard.type("pay");
    await page.keyboard.press("Enter");
    await page.waitForURL(/filter=pay/);
    const filtered = await page.locator("table.spokes tbody tr").count();
    await page.goto(url);
    await page.focus("table.spokes thead a >> nth=0");
    await page.keyboard.press("Enter");
    await page.waitForURL(/sort=name/);
    const names = await page.locator("table.spokes tbody th a").allTextContents();
    const sorted = await page.locator("th[aria-sort=ascending]").count();
    await page.focus("table.spokes tbody th a >> nth=0");
    await page.keyboard.press("Enter");
    await page.waitForURL(/spoke=/);
    const heading = await page.locator("h1").textContent();
    return { stops, links, after_skip_in_main: afterSkip, filtered, names, sorted, heading, complaints: seen.complaints };
  },

  /** The refresh: it brings news, keeps focus and place, and stops when told to. */
  async refresh(browser) {
    const { page, seen } = await open(browser, { viewport: { width: 700, height: 600 } });
    const link = page.locator("table.spokes tbody th a").last();
    await link.focus();
    await page.evaluate(() => { document.querySelector("#table .scroll").scrollLeft = 60; });
    const place = () => page.evaluate(() => [window.scrollY, document.querySelector("#table .scroll").scrollLeft, document.activeElement.getAttribute("href")]);
    const asOf = () => page.locator("footer time").last().textContent();
    const before = { place: await place(), as_of: await asOf() };
    await page.waitForFunction((old) => [...document.querySelectorAll("footer time")].pop().textContent !== old, before.as_of, { timeout: 15000 });
    const after = { place: await place(), as_of: await asOf() };
    await page.click("#pause");
    const asked = seen.answers.length;
    await page.waitForTimeout(6000);
    const whilePaused = seen.answers.length - asked;
    await page.click("#pause");
    await page.waitForFunction((old) => [...document.querySelectorAll("footer time")].pop().textContent !== old, after.as_of, { timeout: 15000 });
    return { before, after, while_paused: whilePaused, answers: [...new Set(seen.answers)], complaints: seen.complaints, foreign: seen.foreign };
  },

  /** Without any script the page is whole. */
  async plain(browser) {
    const { page } = await open(browser, { javaScriptEnabled: false });
    const shown = await page.locator("#refresh").isVisible();
    await page.fill("input[type=search]", "pay");
    await page.click("form button");
    const filtered = await page.locator("table.spokes tbody tr").count();
    await page.click("table.spokes tbody th a");
    return { refresh_shown: shown, filtered, heading: await page.locator("h1").textContent() };
  },

  /** How long a browser takes from asking to having laid out the page. */
  async time(browser) {
    const { page } = await open(browser);
    const bytes = (await (await fetch(url)).text()).length;
    const laidOut = await page.evaluate(() => performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd);
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    return { bytes, laid_out_ms: laidOut, elements, violations: (await axe(page)).filter((each) => ["serious", "critical"].includes(each.impact)) };
  },

  /** A picture for the documents. */
  async picture(browser) {
    for (const scheme of ["light", "dark"]) {
      const { page, context } = await open(browser, { colorScheme: scheme, viewport: { width: 1280, height: 1000 } });
      await page.screenshot({ path: path.join(folder, "status-page-" + scheme + ".png") });
      await context.close();
    }
    return {};
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    process.stdout.write(JSON.stringify(await commands[command](browser)));
  } finally {
    await browser.close();
  }
})();
