// Draws in the background, so that the page answers while it draws. A message is { id, addresses } or { id, walk }.

"use strict";

let model, facts;

// The latents `step` of `steps` from one image to the next, see latents_between in output/walk.py.
function between(start, end, step, steps, correlations) {
  const behind = steps - step;
  return start.map((tick, place) => {
    const length = Math.sqrt(behind * behind + step * step + 2 * correlations[place] * (behind * step));
    const sum = (behind * tick + step * end[place]) / length + WITHOUT_PLACES - WITHOUT_PLACES;
    return limited(sum);
  });
}

// The frames from one address to the next, `steps` of them. Where the class changes, both fade during the middle half.
function walk(from, to, steps) {
  const [start, end] = [from, to].map((address) => ticksOf(address, facts));
  const shared = from.hand ? from.hand.consistency / UNITS : 0;
  const isStraight = facts.card.traits && (from.hand || Object.keys(from.asked).length);
  const correlations = Array.from(start, (_, place) => (isStraight && place < facts.traits.length ? 1 : shared));
  const ticks = Array.from({ length: steps }, (_, step) => between(start, end, step, steps, correlations));
  const whole = 2 * steps;
  const shares = ticks.map((_, step) => Math.min(whole, Math.max(0, 4 * step - steps)));
  const labelled = facts.card.classes.length > 0;
  const drawnAs = (label) => model.draw(ticks, labelled ? ticks.map(() => label) : null);
  const first = drawnAs(from.label);
  if (from.label === to.label) return first;
  return drawnAs(to.label).map((image, step) =>
    image.map((level, pixel) => floorDivided((whole - shares[step]) * first[step][pixel] + shares[step] * level + steps, whole)),
  );
}

onmessage = ({ data }) => {
  if (data.bytes) {
    model = readModel(data.bytes);
    facts = { ...data.facts, card: model.card, table: makeTable(data.facts.wordsPerTick) };
    postMessage({ id: data.id, card: model.card });
  } else if (data.walk) {
    postMessage({ id: data.id, images: walk(...data.walk) });
  } else {
    const ticks = data.addresses.map((address) => ticksOf(address, facts));
    const labels = model.card.classes.length ? data.addresses.map((address) => address.label) : null;
    postMessage({ id: data.id, images: model.draw(ticks, labels) });
  }
};
