// The latents of an image, as whole numbers: those that runtime/pocketgan/latents.py and traits.py compute, bit for bit.

"use strict";

const LARGEST_TICK = 127;
const WORDS_PER_BLOCK = 16;
const UNITS = 256; // of truncations, consistencies and mixings
const SHARE_UNITS = 4096;
const [SEED_LIMIT, MOST_CLASSES] = [1n << 64n, 1000n];
const KEYS = { images: 0n, hands: 1n, classesOfHands: 3n };

const floorDivided = (number, divisor) => Math.floor(number / divisor);
const limited = (tick) => Math.min(LARGEST_TICK, Math.max(-LARGEST_TICK, tick));

// Philox4x64-10: 16 words of 16 bits for each block. J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
function wordsOfBlock(seed, stream, block) {
  const mask = SEED_LIMIT - 1n;
  let [keyLow, keyHigh] = [seed, stream];
  let counter = [0n, 64n, 128n, 192n].map((shift) => ((block + 1n) >> shift) & mask);
  for (let round = 0; round < 10; round++) {
    const [first, second] = [counter[0] * 0xd2e7470ee14c6c93n, counter[2] * 0xca5a826395121157n];
    counter = [
      (second >> 64n) ^ counter[1] ^ keyLow,
      second & mask,
      (first >> 64n) ^ counter[3] ^ keyHigh,
      first & mask,
    ];
    keyLow = (keyLow + 0x9e3779b97f4a7c15n) & mask;
    keyHigh = (keyHigh + 0xbb67ae8584caa73bn) & mask;
  }
  return counter.flatMap((number) => [0n, 16n, 32n, 48n].map((shift) => Number((number >> shift) & 0xffffn)));
}

function wordsAt(seed, stream, place, count) {
  const blocks = Math.ceil(count / WORDS_PER_BLOCK);
  const words = [];
  for (let block = 0; block < blocks; block++) {
    words.push(...wordsOfBlock(seed, stream, BigInt(place) * BigInt(blocks) + BigInt(block)));
  }
  return words.slice(0, count);
}

// `wordsPerTick`: how many of 65,536 words stand for tick 0, 1, ... 127; the negative ones mirror them.
function makeTable(wordsPerTick) {
  const table = new Int8Array(2 ** 16);
  let word = 0;
  for (let tick = -LARGEST_TICK; tick <= LARGEST_TICK; tick++) {
    table.fill(tick, word, (word += wordsPerTick[Math.abs(tick)]));
  }
  return table;
}

const rootOf = (units) => Math.floor(Math.sqrt((units * SHARE_UNITS ** 2) / UNITS)); // of shares, in SHARE_UNITS

// A correlation that is `usual` at the default consistency, 0 at 0 and 1 at 1.
function atConsistency(usual, units, usualUnits) {
  const correlation = Math.round(usual * UNITS);
  if (units <= usualUnits) return floorDivided(correlation * units, usualUnits);
  return correlation + floorDivided((UNITS - correlation) * (units - usualUnits), UNITS - usualUnits);
}

// What an image is drawn from. `address` is { seed, index, label, truncation, hand, asked }: a BigInt, a number, the number of
// its class, 256ths, null or { number, consistency } in 256ths, and { trait: value } in hundredths. `facts` are the page's.
function ticksOf(address, facts) {
  const { card, table } = facts;
  const { seed, index, label, truncation, hand, asked } = address;
  let ticks = Int8Array.from(wordsAt(seed, KEYS.images, index, card.latent_size), (word) => table[word]);
  if (hand) ticks = byHand(ticks, seed, label, hand, facts);
  if (truncation < UNITS) {
    ticks = ticks.map((tick) => {
      const product = tick * truncation;
      const isOdd = Math.abs(floorDivided(product, UNITS) % 2);
      return floorDivided(product + UNITS / 2 - 1 + isOdd, UNITS);
    });
  }
  return card.traits && Object.keys(asked).length ? withTraits(ticks, card.traits[label ?? 0], asked, facts) : ticks;
}

function byHand(own, seed, label, hand, { card, table, handCorrelations, usualConsistency }) {
  const units = hand.consistency;
  const ofHand = wordsAt(seed, KEYS.hands, hand.number, own.length).map((word) => table[word]);
  const [inAny, inOne] = [new Array(own.length).fill(units), new Array(own.length).fill(units)];
  const ofClass = new Array(own.length).fill(0);
  if (card.traits) {
    const place = BigInt(hand.number) * MOST_CLASSES + BigInt(label ?? 0);
    const words = wordsAt(seed, KEYS.classesOfHands, place, handCorrelations.length);
    handCorrelations.forEach(([different, same], trait) => {
      inAny[trait] = atConsistency(different, units, usualConsistency);
      inOne[trait] = atConsistency(same, units, usualConsistency);
      ofClass[trait] = table[words[trait]];
    });
  }
  return own.map((tick, place) => {
    const parts = [
      [inAny[place], ofHand[place]],
      [inOne[place] - inAny[place], ofClass[place]],
      [UNITS - inOne[place], tick],
    ];
    const sum = parts.reduce((total, [share, part]) => total + rootOf(share) * part, SHARE_UNITS / 2);
    return limited(floorDivided(sum, SHARE_UNITS));
  });
}

// Sets the latents that stand for traits, so that these have the values that are asked for, see TraitSetter in traits.py.
function withTraits(ticks, { values, mixing }, asked, { traits, scores }) {
  const wanted = mixing.map((row) => row.reduce((sum, share, column) => sum + share * ticks[column], 0));
  traits.forEach((name, trait) => {
    if (!(name in asked)) return;
    const known = values[trait];
    const below = known.slice(1, -1).filter((value) => value <= asked[name]).length;
    const [low, high, step] = [known[below], known[below + 1], scores[1] - scores[0]];
    wanted[trait] = UNITS * scores[below] + floorDivided(UNITS * step * (asked[name] - low), high - low);
  });
  // The adjugate of the mixing, with whole numbers.
  const minor = (row, column) =>
    mixing[(row + 1) % 3][(column + 1) % 3] * mixing[(row + 2) % 3][(column + 2) % 3] -
    mixing[(row + 1) % 3][(column + 2) % 3] * mixing[(row + 2) % 3][(column + 1) % 3];
  const determinant = [0, 1, 2].reduce((sum, column) => sum + mixing[0][column] * minor(0, column), 0);
  const changed = ticks.slice();
  for (let latent = 0; latent < 3; latent++) {
    const product = [0, 1, 2].reduce((sum, trait) => sum + minor(trait, latent) * wanted[trait], 0);
    changed[latent] = limited(Number(bigFloor(2n * BigInt(product) + BigInt(determinant), 2n * BigInt(determinant))));
  }
  return changed;
}

function bigFloor(number, divisor) {
  const quotient = number / divisor;
  return number % divisor !== 0n && number < 0n !== divisor < 0n ? quotient - 1n : quotient;
}
