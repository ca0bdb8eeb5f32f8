// What the page shows: the state, the images and commands that follow from it, and the link that says it.

"use strict";

const settings = JSON.parse(document.getElementById("settings").textContent);
const element = (id) => document.getElementById(id);
const UNITS = settings.units;
const SHOWN = settings.shown;
const LAST_START = settings.indexLimit - SHOWN;
const MOST_HANDS = 1_000_000;
const DEFAULTS = { seed: "0", start: 0, only: null, truncation: UNITS, hand: null, consistency: settings.usualConsistency, asked: {}, chosen: 0 };

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

const nameOf = (label) => (label === null ? "image" : `${settings.noun} ${card.classes[label]}`);

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
