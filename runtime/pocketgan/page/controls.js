// The controls, and how the page begins.

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

const SHEET_MILLISECONDS = 300;

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
