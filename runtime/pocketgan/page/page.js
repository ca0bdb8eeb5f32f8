"use strict";

const settings = JSON.parse(document.getElementById("settings").textContent);
const element = (id) => document.getElementById(id);
const UNITS = settings.units;
const SHOWN = settings.shown;
const LAST_START = settings.indexLimit - SHOWN;
const MOST_HANDS = 1_000_000;
const SHEET_MILLISECONDS = 300;
const DEFAULTS = { seed: "0", start: 0, only: null, truncation: UNITS, hand: null, consistency: settings.usualConsistency, asked: {}, chosen: 0 };

// The engine draws in a worker. Each message is answered once, by its number.
const waiting = new Map();
let [worker, sent] = [null, 0];
function ask(message) {
  return new Promise((resolve, reject) => {
    waiting.set((sent += 1), { resolve, reject });
    worker.postMessage({ id: sent, ...message });
  });
}

function startWorker() {
  worker = new Worker(URL.createObjectURL(new Blob([element("engine").textContent], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => {
    waiting.get(data.id).resolve(data);
    waiting.delete(data.id);
  };
  worker.onerror = ({ message }) => {
    say(`Cannot draw: ${message}`);
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  };
}

const say = (text) => (element("status").textContent = text);

let card;
let state = { ...DEFAULTS };
let shown = []; // for each place of the sheet, the image that stands there and its address

// What one image is drawn from. `place` counts from 0 on the sheet.
function addressOf(place) {
  const index = state.start + place;
  const labels = card.classes.length;
  const label = !labels ? null : state.only === null ? index % labels : state.only;
  const hand = state.hand === null ? null : { number: state.hand, consistency: state.consistency };
  return { seed: BigInt(state.seed), index, label, truncation: state.truncation, hand, asked: state.asked };
}

// The shortest number that gan-gen takes for so many 256ths.
const inUnits = (units) => String([1, 2, 3].map((digits) => Number((units / UNITS).toFixed(digits))).find((share) => Math.round(share * UNITS) === units));
const inHundredths = (value) => String(value / 100);

// The command that draws it; `what` is a list of further options.
function commandOf({ seed, truncation, hand, asked }, what) {
  const words = ["gan-gen", "--model", settings.model, "--seed", seed, ...what];
  if (truncation < UNITS) words.push("--truncation", inUnits(truncation));
  if (hand) words.push("--hand", hand.number, "--consistency", inUnits(hand.consistency));
  for (const [name, value] of Object.entries(asked)) words.push(`--${name}`, inHundredths(value));
  return words.join(" ");
}

// Shows words, each in a box of its own, so that no line ends within an option, at its dashes.
function showWords(id, text) {
  const boxes = text.split(" ").map((word) => Object.assign(document.createElement("span"), { textContent: word }));
  element(id).replaceChildren(...boxes.flatMap((box, place) => (place ? [" ", box] : [box])));
}

function paint(canvas, image, width = card.image_width, height = card.image_height) {
  [canvas.width, canvas.height] = [width, height];
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

// Draws the sheet in parts. If something changes meanwhile, it begins again after the part at hand.
let [isDrawing, hasChanged] = [false, false];
async function drawSheet() {
  hasChanged = true;
  if (isDrawing) return;
  isDrawing = true;
  try {
    while (hasChanged) {
      hasChanged = false;
      const began = performance.now();
      for (let first = 0; first < SHOWN && !hasChanged; first += 10) {
        const addresses = Array.from({ length: 10 }, (_, number) => addressOf(first + number));
        const { images } = await ask({ addresses });
        if (!hasChanged) images.forEach((image, number) => show(first + number, image, addresses[number]));
      }
      if (hasChanged) continue;
      const seconds = ((performance.now() - began) / 1000).toFixed(2);
      say(`Images ${state.start} to ${state.start + SHOWN - 1} of seed ${state.seed}, drawn in ${seconds} s.`);
      await drawRow();
    }
  } finally {
    isDrawing = false; // also if drawing failed, so that a change draws again
  }
}

function show(place, image, address) {
  shown[place] = { image, address };
  const button = element("sheet").children[place];
  paint(button.firstChild, image);
  button.setAttribute("aria-label", `${nameOf(address.label)}, index ${address.index}`);
  if (place === state.chosen && !walking) showChosen();
}

function showChosen() {
  const { image, address } = shown[state.chosen];
  const name = address.label === null ? [] : ["--digit", card.classes[address.label]];
  paint(element("large"), image);
  element("large").setAttribute("aria-label", `${nameOf(address.label)}, index ${address.index}, enlarged`);
  showWords("command", commandOf(address, ["--start", address.index, "--count", 1, ...name]));
  [...element("sheet").children].forEach((button, place) => {
    button.setAttribute("aria-current", place === state.chosen);
    button.tabIndex = place === state.chosen ? 0 : -1;
  });
}

// What is typed is row `start` of the seed, by the chosen hand or the first one: the images that gan-gen --text draws.
async function drawRow() {
  const text = element("text").value;
  const labels = [...text].map((character) => card.classes.indexOf(settings.classesOfCharacters[character] ?? character));
  const missing = [...text].find((_, place) => labels[place] < 0);
  element("text").setAttribute("aria-invalid", missing !== undefined);
  if (!text || missing !== undefined) {
    element("row").width = element("row").width; // clears it
    element("row").setAttribute("aria-label", "nothing written");
    showWords("row-command", text ? `This model has no class “${missing}”.` : "");
    element("copy-row").hidden = true;
    return;
  }
  const hand = { number: state.hand ?? 0, consistency: state.consistency };
  const row = { ...addressOf(0), hand, asked: withinRanges(state.asked, labels) };
  const number = Math.min(state.start, Math.floor(settings.indexLimit / labels.length) - 1);
  const addresses = labels.map((label, place) => ({ ...row, index: number * labels.length + place, label }));
  const { images } = await ask({ addresses });
  if (element("text").value !== text) return;
  paint(element("row"), sideBySide(images), labels.length * card.image_width);
  element("row").setAttribute("aria-label", `${text}, as one picture`);
  showWords("row-command", commandOf(row, ["--text", text, "--start", number, "--count", 1]));
  element("copy-row").hidden = false;
}

// A walk through the images of the sheet from the chosen one on, as gan-gen --gif draws it; `walking` is the walk that goes on.
let walking = null;
async function walk() {
  const own = (walking = {});
  element("large").setAttribute("aria-label", "a walk from image to image");
  showWords("command", "Walking: stop to see the command of an image.");
  let place = state.chosen;
  const step = () => ask({ walk: [addressOf(place), addressOf((place + 1) % SHOWN), settings.walkSteps] });
  let frames = step();
  while (walking === own) {
    const { images } = await frames;
    place = (place + 1) % SHOWN;
    frames = step();
    for (const image of images) {
      if (walking !== own) return;
      paint(element("large"), image);
      await new Promise((resolve) => setTimeout(resolve, settings.frameMilliseconds));
    }
  }
}

function toggleWalk() {
  const begins = walking === null;
  element("play").setAttribute("aria-pressed", begins);
  if (begins) {
    element("large").scrollIntoView({ block: "nearest" });
    walk();
  } else {
    walking = null;
    showChosen();
  }
}

function save(parts, columns, name) {
  const scale = 4;
  const [width, height] = [card.image_width * scale, card.image_height * scale];
  const [canvas, one] = [document.createElement("canvas"), document.createElement("canvas")];
  [canvas.width, canvas.height] = [columns * width, Math.ceil(parts.length / columns) * height];
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  parts.forEach(({ image }, place) => {
    paint(one, image);
    context.drawImage(one, (place % columns) * width, Math.floor(place / columns) * height, width, height);
  });
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${card.name}-${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`Saved ${link.download}.`);
  });
}

async function copy(id) {
  const command = element(id);
  try {
    await navigator.clipboard.writeText(command.textContent);
    say("Copied.");
  } catch {
    // Pages that come without encryption have no clipboard.
    getSelection().selectAllChildren(command);
    say("The command is selected: copy it with the keyboard or the menu.");
  }
}

// The link of the page says what is shown: after the # are the settings that differ from those at first.
function stateOfLink() {
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const found = { ...DEFAULTS, asked: {} };
  if (isSeed(given.seed)) found.seed = String(BigInt(given.seed));
  const most = { start: LAST_START, only: card.classes.length - 1, hand: MOST_HANDS, consistency: UNITS, chosen: SHOWN - 1, truncation: UNITS };
  for (const [name, largest] of Object.entries(most)) {
    const least = name === "truncation" ? 1 : 0;
    const value = /^[0-9]{1,16}$/.test(given[name]) ? Number(given[name]) : NaN;
    if (value >= least && value <= largest) found[name] = value;
  }
  const traits = settings.traits.filter((name) => /^-?[0-9]{1,6}$/.test(given[name]));
  found.asked = withinRanges(Object.fromEntries(traits.map((name) => [name, Number(given[name])])), labelsOf(found.only));
  return found;
}

const isSeed = (text) => /^[0-9]{1,20}$/.test(text) && BigInt(text) < 2n ** 64n;

// Browsers refuse links that change too often, so that only rests are kept.
let linkTimer;
function keepLink() {
  clearTimeout(linkTimer);
  linkTimer = setTimeout(() => {
    const { asked, ...own } = state;
    const differing = Object.entries(own).filter(([name, value]) => value !== null && value !== DEFAULTS[name]);
    history.replaceState(null, "", `#${new URLSearchParams([...differing, ...Object.entries(asked)])}`);
  }, 300);
}

function change(changes) {
  state = { ...state, ...changes };
  showControls();
  keepLink();
  return drawSheet();
}

function choose(place) {
  state.chosen = place;
  keepLink();
  if (shown[place] && !walking) showChosen();
}

const labelsOf = (only) => (only === null ? card.classes.map((_, label) => label) : [only]);

// The values of a trait that all these classes have, in hundredths; null if there are none.
function rangeOf(trait, labels) {
  if (!card.traits) return null;
  const chosen = (labels.length ? labels : [0]).map((label) => card.traits[label].values[trait]);
  const [least, most] = [Math.max(...chosen.map((values) => values[0])), Math.min(...chosen.map((values) => values.at(-1)))];
  return least <= most ? [least, most] : null;
}

// Traits that are asked for, as far as these classes have them.
function withinRanges(asked, labels) {
  const within = {};
  settings.traits.forEach((name, trait) => {
    const range = name in asked && rangeOf(trait, labels);
    if (range) within[name] = Math.min(range[1], Math.max(range[0], asked[name]));
  });
  return within;
}

function showSlider(id, value, text) {
  element(id).value = value;
  element(id).setAttribute("aria-valuetext", text);
  element(id).parentElement.querySelector("output").textContent = text;
}

function showControls() {
  element("seed").value = state.seed;
  element("start").value = state.start;
  showSlider("truncation", state.truncation, inUnits(state.truncation));
  element("alike").checked = state.hand !== null;
  element("hand").value = state.hand ?? 0;
  showSlider("consistency", state.consistency, inUnits(state.consistency));
  document.querySelectorAll(".hand input").forEach((input) => (input.disabled = state.hand === null));
  document.querySelectorAll("#classes button").forEach((button) =>
    button.setAttribute("aria-pressed", button.value === (state.only === null ? "" : String(state.only))),
  );
  for (const [trait, name] of card.traits ? settings.traits.entries() : []) {
    const [check, slider] = [element(`${name}-asked`), element(name)];
    const range = rangeOf(trait, labelsOf(state.only));
    check.checked = name in state.asked;
    check.disabled = range === null;
    slider.disabled = !check.checked;
    if (range) [slider.min, slider.max] = range;
    const value = check.checked ? `${(state.asked[name] / 100).toFixed(1)} ${settings.unitOf[name]}` : range ? "as it comes" : "choose one class";
    showSlider(name, state.asked[name] ?? slider.value, value);
  }
}

function makeClasses() {
  const choices = [["", "All"], ...card.classes.map((name, label) => [String(label), name])];
  for (const [value, textContent] of choices) {
    const button = Object.assign(document.createElement("button"), { type: "button", value, textContent });
    button.onclick = () => {
      const only = value === "" ? null : Number(value);
      change({ only, asked: withinRanges(state.asked, labelsOf(only)) });
    };
    element("classes").append(button);
  }
  element("classes").hidden = !card.classes.length;
  const characters = card.classes.filter((name) => name.length === 1);
  element("writing").hidden = !characters.length;
  element("text").value = [..."2026"].every((digit) => characters.includes(digit)) ? "2026" : characters.slice(0, 4).join("");
}

function makeTraits() {
  for (const [trait, name] of card.traits ? settings.traits.entries() : []) {
    const box = Object.assign(document.createElement("div"), { className: "trait" });
    box.innerHTML = '<label class="check"><input type="checkbox"> <span></span></label><output></output><input type="range" step="1">';
    box.querySelector("span").textContent = name;
    const [check, slider] = box.querySelectorAll("input");
    [check.id, slider.id] = [`${name}-asked`, name];
    slider.setAttribute("aria-label", name);
    check.onchange = () => {
      const { [name]: _, ...others } = state.asked;
      const [least, most] = rangeOf(trait, labelsOf(state.only));
      change({ asked: check.checked ? { ...others, [name]: Math.round((least + most) / 2) } : others });
    };
    slider.oninput = () => change({ asked: { ...state.asked, [name]: Number(slider.value) } });
    element("traits").append(box);
  }
}

function makeSheet() {
  const [width, height] = [card.image_width, card.image_height];
  for (let place = 0; place < SHOWN; place++) {
    const button = Object.assign(document.createElement("button"), { type: "button", tabIndex: place === state.chosen ? 0 : -1 });
    button.append(Object.assign(document.createElement("canvas"), { width, height }));
    button.onclick = () => choose(place);
    element("sheet").append(button);
  }
  element("sheet").onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 }[event.key];
    const place = [...element("sheet").children].indexOf(document.activeElement) + step;
    if (!step || place < 0 || place >= SHOWN) return;
    element("sheet").children[place].focus();
    event.preventDefault();
  };
}

// The sheets of a training run, if the page has some.
function showEpoch() {
  const [slider, sheets] = [element("epoch"), element("sheets")];
  [...sheets.children].forEach((sheet, place) => (sheet.hidden = place !== Number(slider.value)));
  showSlider("epoch", slider.value, sheets.dataset.epochs.split(" ")[slider.value]);
}

// Plays from the chosen sheet to the last one; from the last one, all of them.
let player = null;
function togglePlayer() {
  const slider = element("epoch");
  const begins = player === null;
  clearInterval(player);
  player = null;
  element("play-epochs").setAttribute("aria-pressed", begins);
  if (!begins) return;
  if (slider.value === slider.max) slider.value = 0;
  showEpoch();
  player = setInterval(() => {
    slider.value = Number(slider.value) + 1;
    showEpoch();
    if (slider.value === slider.max) togglePlayer();
  }, SHEET_MILLISECONDS);
}

function chooseSeed() {
  const text = element("seed").value.trim();
  if (isSeed(text)) return change({ seed: String(BigInt(text)) });
  say(`“${text}” is not a seed: a seed is a whole number from 0 to ${2n ** 64n - 1n}.`);
  showControls();
}

function chooseWhole(name, id, most) {
  const given = element(id).valueAsNumber;
  if (Number.isInteger(given) && 0 <= given && given <= most) return change({ [id]: given });
  say(`${name} is a whole number from 0 to ${most}.`);
  showControls();
}

const handlers = {
  seed: ["change", chooseSeed],
  start: ["change", () => chooseWhole("The index", "start", LAST_START)],
  before: ["click", () => change({ start: Math.max(0, state.start - SHOWN) })],
  next: ["click", () => change({ start: Math.min(LAST_START, state.start + SHOWN) })],
  dice: ["click", () => change({ seed: String(crypto.getRandomValues(new Uint32Array(1))[0]) })],
  truncation: ["input", () => change({ truncation: element("truncation").valueAsNumber })],
  alike: ["change", () => change({ hand: element("alike").checked ? 0 : null })],
  hand: ["change", () => chooseWhole("A hand", "hand", MOST_HANDS)],
  consistency: ["input", () => change({ consistency: element("consistency").valueAsNumber })],
  reset: ["click", () => change({ ...DEFAULTS })],
  text: ["input", drawRow],
  copy: ["click", () => copy("command")],
  "copy-row": ["click", () => copy("row-command")],
  "save-one": ["click", () => shown[state.chosen] && save([shown[state.chosen]], 1, `${shown[state.chosen].address.seed}-${shown[state.chosen].address.index}`)],
  "save-sheet": ["click", () => shown.length === SHOWN && save(shown, 10, `${shown[0].address.seed}-${shown[0].address.index}-sheet`)],
  play: ["click", toggleWalk],
};

async function begin() {
  startWorker();
  const bytes = Uint8Array.from(atob(element("model").textContent), (character) => character.charCodeAt(0));
  ({ card } = await ask({ bytes, facts: settings }));
  state = stateOfLink();
  makeClasses();
  makeTraits();
  makeSheet();
  for (const [id, [event, handle]] of Object.entries(handlers)) element(id).addEventListener(event, handle);
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => change(stateOfLink()));
  if (element("epoch")) {
    element("epoch").oninput = showEpoch;
    element("play-epochs").onclick = togglePlayer;
    showEpoch();
  }
  await change({});
}

const ready = begin();
ready.catch((error) => say(`Cannot draw: ${error.message}`));
// For programs: the images of addresses, as the page draws them.
window.pocketgan = { ready, draw: (addresses) => ask({ addresses }), walk: (from, to, steps) => ask({ walk: [from, to, steps] }) };
