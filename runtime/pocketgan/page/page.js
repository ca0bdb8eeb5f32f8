"use strict";

const settings = JSON.parse(document.getElementById("settings").textContent);
const element = (id) => document.getElementById(id);
const [SHOWN, UNITS, MOST_SEED] = [100, 256, (1n << 64n) - 1n];
const WALK_STEPS = 16;
const FRAME_MILLISECONDS = 60;
const DEFAULTS = { seed: "0", start: 0, only: null, truncation: UNITS, hand: null, consistency: settings.usualConsistency, asked: {}, chosen: 0 };

// The engine draws in a worker. Each message is answered once, by its number.
const worker = new Worker(URL.createObjectURL(new Blob([element("engine").textContent], { type: "text/javascript" })));
const waiting = new Map();
worker.onmessage = ({ data }) => {
  waiting.get(data.id)(data);
  waiting.delete(data.id);
};
worker.onerror = ({ message }) => (element("status").textContent = `Cannot draw: ${message}`);
let sent = 0;
const ask = (message) =>
  new Promise((resolve) => {
    waiting.set((sent += 1), resolve);
    worker.postMessage({ id: sent, ...message });
  });

let state = { ...DEFAULTS, ...stateOfLink() };
let card;
let latest = 0; // the newest request: older ones are not shown
let images = [];

// What one image is drawn from. `place` counts from 0 on the sheet.
function addressOf(place) {
  const index = state.start + place;
  const labels = card.classes.length;
  const label = !labels ? null : state.only === null ? index % labels : state.only;
  const hand = state.hand === null ? null : { number: state.hand, consistency: state.consistency };
  return { seed: BigInt(state.seed), index, label, truncation: state.truncation, hand, asked: state.asked };
}

const inUnits = (units) => String(Number((units / UNITS).toFixed(6)));
const inHundredths = (value) => String(value / 100);

// The command that draws it; `what` is a list of further options.
function commandOf({ seed, truncation, hand, asked }, what) {
  const words = ["gan-gen", "--model", settings.model, "--seed", seed, ...what];
  if (truncation < UNITS) words.push("--truncation", inUnits(truncation));
  if (hand) words.push("--hand", hand.number, "--consistency", inUnits(hand.consistency));
  for (const [name, value] of Object.entries(asked)) words.push(`--${name}`, inHundredths(value));
  return words.join(" ");
}

function paint(canvas, image, width = card.image_width, height = card.image_height) {
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  image.forEach((level, place) => pixels.data.set([level, level, level, 255], 4 * place));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

// Images side by side, each as tall as the others.
function sideBySide(parts) {
  const [width, height] = [card.image_width, card.image_height];
  const row = new Uint8Array(parts.length * width * height);
  parts.forEach((part, number) => {
    for (let y = 0; y < height; y++) row.set(part.subarray(y * width, (y + 1) * width), (y * parts.length + number) * width);
  });
  return row;
}

const nameOf = (label) => (label === null ? "image" : `${settings.noun} ${card.classes[label]}`);

async function drawSheet() {
  const request = (latest += 1);
  const began = performance.now();
  const addresses = Array.from({ length: SHOWN }, (_, place) => addressOf(place));
  // First a row, so that something moves at once.
  for (let first = 0; first < SHOWN; first += first ? 30 : 10) {
    const part = addresses.slice(first, first + (first ? 30 : 10));
    const { images: drawn } = await ask({ addresses: part });
    if (request !== latest) return;
    drawn.forEach((image, number) => {
      const [place, address] = [first + number, part[number]];
      images[place] = image;
      const button = element("sheet").children[place];
      paint(button.firstChild, image);
      button.setAttribute("aria-label", `${nameOf(address.label)}, index ${address.index}`);
    });
    if (state.chosen < first + part.length && state.chosen >= first) showChosen();
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(2);
  element("status").textContent = `Images ${state.start} to ${state.start + SHOWN - 1} of seed ${state.seed}, drawn in ${seconds} s.`;
  await drawRow();
}

function showChosen() {
  const address = addressOf(state.chosen);
  const name = address.label === null ? [] : ["--digit", card.classes[address.label]];
  paint(element("large"), images[state.chosen]);
  element("large").setAttribute("aria-label", `${nameOf(address.label)}, index ${address.index}, enlarged`);
  element("command").textContent = commandOf(address, ["--start", address.index, "--count", 1, ...name]);
  [...element("sheet").children].forEach((button, place) => button.setAttribute("aria-current", place === state.chosen));
}

// A number is row `start` of the seed, by the chosen hand or the first one: the images that gan-gen --text draws.
async function drawRow() {
  if (!card.classes.length) return;
  const typed = [...element("text").value].map((character) => card.classes.indexOf(character));
  const [text, labels] = [element("text").value, typed.filter((label) => label >= 0)];
  element("text").setAttribute("aria-invalid", labels.length < typed.length);
  if (!labels.length || labels.length < typed.length) return;
  const row = { ...addressOf(0), hand: { number: state.hand ?? 0, consistency: state.consistency } };
  const addresses = labels.map((label, number) => ({ ...row, index: state.start * labels.length + number, label }));
  const { images: drawn } = await ask({ addresses });
  paint(element("row"), sideBySide(drawn), labels.length * card.image_width);
  element("row").setAttribute("aria-label", `${text}, as one picture`);
  element("row-command").textContent = commandOf(row, ["--text", text, "--start", state.start, "--count", 1]);
}

// A walk through the images of the sheet from the chosen one on, as gan-gen --gif draws it.
let isWalking = false;
async function walk() {
  let place = state.chosen;
  let frames = ask({ walk: [addressOf(place), addressOf((place + 1) % SHOWN), WALK_STEPS] });
  while (isWalking) {
    const { images: drawn } = await frames;
    place = (place + 1) % SHOWN;
    frames = ask({ walk: [addressOf(place), addressOf((place + 1) % SHOWN), WALK_STEPS] });
    for (const frame of drawn) {
      if (!isWalking) break;
      paint(element("large"), frame);
      await new Promise((resolve) => setTimeout(resolve, FRAME_MILLISECONDS));
    }
  }
  showChosen();
}

function save(parts, columns, name) {
  const scale = 4;
  const rows = Math.ceil(parts.length / columns);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns * card.image_width * scale, rows * card.image_height * scale];
  const [context, one] = [canvas.getContext("2d"), document.createElement("canvas")];
  context.imageSmoothingEnabled = false;
  parts.forEach((image, place) => {
    paint(one, image);
    const [column, row] = [place % columns, Math.floor(place / columns)];
    const [wide, high] = [card.image_width * scale, card.image_height * scale];
    context.drawImage(one, column * wide, row * high, wide, high);
  });
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

// The link of the page says what is shown: after the # are the settings that differ from those at first.
function stateOfLink() {
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const whole = (text, most) => (/^[0-9]{1,16}$/.test(text) && Number(text) <= most ? Number(text) : null);
  const found = {};
  if (/^[0-9]{1,20}$/.test(given.seed) && BigInt(given.seed) <= MOST_SEED) found.seed = given.seed;
  for (const [name, most] of Object.entries({ start: 2 ** 48 - SHOWN, only: 999, hand: 1e6, consistency: UNITS, chosen: SHOWN - 1 })) {
    if (name in given && whole(given[name], most) !== null) found[name] = whole(given[name], most);
  }
  if (whole(given.truncation, UNITS)) found.truncation = whole(given.truncation, UNITS);
  const traits = settings.traits.filter((name) => /^-?[0-9]{1,6}$/.test(given[name]));
  found.asked = Object.fromEntries(traits.map((name) => [name, Number(given[name])]));
  return found;
}

function showLink() {
  const { asked, ...own } = state;
  const differing = Object.entries(own).filter(([name, value]) => value !== null && value !== DEFAULTS[name]);
  history.replaceState(null, "", `#${new URLSearchParams([...differing, ...Object.entries(asked)])}`);
}

function change(changes) {
  state = { ...state, ...changes };
  showLink();
  showControls();
  drawSheet();
}

function choose(place) {
  state.chosen = place;
  showLink();
  if (images[place]) showChosen();
}

// The values of a trait that all chosen classes have, in hundredths; null if there are none.
function rangeOf(trait) {
  const chosen = state.only === null ? card.traits : [card.traits[state.only]];
  const [least, most] = [Math.max, Math.min].map((best, end) => best(...chosen.map(({ values }) => values[trait].at(-end))));
  return least <= most ? [least, most] : null;
}

function showControls() {
  element("seed").value = state.seed;
  element("start").value = state.start;
  element("truncation").value = state.truncation;
  element("truncation").nextElementSibling.textContent = inUnits(state.truncation).slice(0, 4);
  element("alike").checked = state.hand !== null;
  element("hand").value = state.hand ?? 0;
  element("consistency").value = state.consistency;
  element("consistency").nextElementSibling.textContent = inUnits(state.consistency).slice(0, 4);
  document.querySelectorAll(".hand input").forEach((input) => (input.disabled = state.hand === null));
  [...element("classes").querySelectorAll("button")].forEach((button) =>
    button.setAttribute("aria-pressed", button.value === (state.only === null ? "" : String(state.only))),
  );
  settings.traits.forEach((name, trait) => {
    const box = element(`trait-${name}`);
    if (!box) return;
    const [check, slider] = box.querySelectorAll("input");
    const range = rangeOf(trait);
    check.checked = name in state.asked;
    check.disabled = range === null;
    slider.disabled = !check.checked;
    if (range) [slider.min, slider.max] = range;
    if (check.checked) slider.value = state.asked[name];
    const value = `${(slider.value / 100).toFixed(1)} ${settings.units[name]}`;
    box.querySelector("output").textContent = check.checked ? value : range ? "as it comes" : "choose one class";
  });
}

// A trait that is asked for must be one that the chosen classes have.
function withinRanges(asked) {
  const within = {};
  settings.traits.forEach((name, trait) => {
    const range = name in asked && rangeOf(trait);
    if (range) within[name] = Math.min(range[1], Math.max(range[0], asked[name]));
  });
  return within;
}

function makeControls() {
  const choices = [["", "All"], ...card.classes.map((name, label) => [String(label), name])];
  for (const [value, text] of card.classes.length ? choices : []) {
    const button = Object.assign(document.createElement("button"), { type: "button", value, textContent: text });
    button.onclick = () => {
      state.only = value === "" ? null : Number(value);
      change({ asked: card.traits ? withinRanges(state.asked) : {} });
    };
    element("classes").append(button);
  }
  element("classes").hidden = element("writing").hidden = !card.classes.length;
  settings.traits.forEach((name, trait) => {
    if (!card.traits) return;
    const box = Object.assign(document.createElement("div"), { id: `trait-${name}`, className: "trait" });
    box.innerHTML = '<label class="check"><input type="checkbox"> <span></span></label><output></output><input type="range" step="1">';
    box.querySelector("span").textContent = name;
    const [check, slider] = box.querySelectorAll("input");
    slider.setAttribute("aria-label", `${name} in ${settings.units[name]}`);
    check.onchange = () => {
      const { [name]: _, ...others } = state.asked;
      const [least, most] = rangeOf(trait) ?? [0, 0];
      change({ asked: check.checked ? { ...others, [name]: Math.round((least + most) / 2) } : others });
    };
    slider.oninput = () => change({ asked: { ...state.asked, [name]: Number(slider.value) } });
    element("traits").append(box);
  });
  for (let place = 0; place < SHOWN; place++) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const [width, height] = [card.image_width, card.image_height];
    button.append(Object.assign(document.createElement("canvas"), { width, height }));
    button.onclick = () => choose(place);
    element("sheet").append(button);
  }
  element("sheet").onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 }[event.key];
    const place = [...element("sheet").children].indexOf(document.activeElement) + step;
    if (step && place >= 0 && place < SHOWN) {
      element("sheet").children[place].focus();
      event.preventDefault();
    }
  };
}

const number = (id, most) => Math.min(most, Math.max(0, Math.floor(Number(element(id).value) || 0)));
const handlers = {
  seed: ["change", () => /^[0-9]{1,20}$/.test(element("seed").value) && BigInt(element("seed").value) <= MOST_SEED ? change({ seed: String(BigInt(element("seed").value)) }) : showControls()],
  start: ["change", () => change({ start: number("start", 2 ** 48 - SHOWN) })],
  before: ["click", () => change({ start: Math.max(0, state.start - SHOWN) })],
  next: ["click", () => change({ start: Math.min(2 ** 48 - SHOWN, state.start + SHOWN) })],
  dice: ["click", () => change({ seed: String(crypto.getRandomValues(new Uint32Array(1))[0]) })],
  truncation: ["input", () => change({ truncation: number("truncation", UNITS) })],
  alike: ["change", () => change({ hand: element("alike").checked ? 0 : null })],
  hand: ["change", () => change({ hand: number("hand", 1e6) })],
  consistency: ["input", () => change({ consistency: number("consistency", UNITS) })],
  reset: ["click", () => change(DEFAULTS)],
  text: ["input", drawRow],
  copy: ["click", () => navigator.clipboard.writeText(element("command").textContent)],
  "save-one": ["click", () => save([images[state.chosen]], 1, `${settings.model}-${state.seed}-${state.start + state.chosen}.png`)],
  "save-sheet": ["click", () => save(images, 10, `${settings.model}-${state.seed}-${state.start}-sheet.png`)],
  play: ["click", () => {
    isWalking = !isWalking;
    element("play").setAttribute("aria-pressed", isWalking);
    if (isWalking) walk();
  }],
};

// The sheets of a training run, if the page has some.
function showEpoch() {
  const [slider, sheets] = [element("epoch"), element("sheets")];
  [...sheets.children].forEach((sheet, place) => (sheet.hidden = place !== Number(slider.value)));
  slider.nextElementSibling.textContent = sheets.dataset.epochs.split(" ")[slider.value];
}

async function begin() {
  if (element("epoch")) {
    element("epoch").oninput = showEpoch;
    showEpoch();
  }
  const bytes = Uint8Array.from(atob(element("model").textContent), (character) => character.charCodeAt(0));
  ({ card } = await ask({ bytes, facts: settings }));
  makeControls();
  for (const [id, [event, handle]] of Object.entries(handlers)) element(id).addEventListener(event, handle);
  element("text").value = card.classes.includes("2") ? "2026" : card.classes[0]?.slice(0, 1) ?? "";
  if (state.only !== null && !(state.only in card.classes)) state.only = null;
  state.asked = card.traits ? withinRanges(state.asked) : {};
  showControls();
  await drawSheet();
}

// For programs: the images of addresses, as the page draws them.
window.pocketgan = { ready: begin(), draw: (addresses) => ask({ addresses }), walk: (from, to, steps) => ask({ walk: [from, to, steps] }) };
