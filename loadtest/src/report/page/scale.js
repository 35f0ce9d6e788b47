// Scales from values to pixels, with their ticks.

// The greatest round number at or below `value`: 1, 2 or 5 times a power of ten.
function roundDown(value) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return [5, 2, 1].map((factor) => factor * power).find((round) => round <= value * (1 + 1e-9));
}

// Bytes have ticks at powers of 1,024.
function byteScale(most, from, to) {
  const unit = 1024 ** Math.floor(Math.log2(Math.max(most, 1)) / 10);
  const scale = linearScale(most / unit, from, to, (value) => bytes(value * unit).replace(/\.0+\u00a0/, "\u00a0"));
  return { ticks: scale.ticks.map((tick) => ({ ...tick, value: tick.value * unit })), at: (value) => scale.at(value / unit) };
}

// Decades. The scale has no 0: smaller values are drawn at the edge.
function logScale(least, most, from, to, format) {
  let [bottom, top] = [roundDown(least), roundUp(most)];
  if (top / bottom < 10) [bottom, top] = [roundDown(bottom / 2), roundUp(top * 2)];
  const span = Math.log10(top / bottom);
  const ticks = [];
  for (let power = Math.floor(Math.log10(bottom) + 1e-9); 10 ** power <= top * (1 + 1e-9); power += 1) {
    for (const factor of [1, 2, 5]) {
      const value = factor * 10 ** power;
      if (value < bottom * (1 - 1e-9) || value > top * (1 + 1e-9)) continue;
      // With few decades, add labels between them.
      if (factor === 1 || span < 2.5) ticks.push({ value, label: format(value), minor: factor !== 1 });
    }
  }
  return { ticks, at: (value) => from + ((to - from) * Math.log10(Math.max(value, bottom) / bottom)) / span };
}

const TIME_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

// Seconds, 0 to `last`.
function timeScale(last, from, to) {
  const end = last > 0 ? last : 1;
  const room = Math.max(2, Math.floor((to - from) / 64));
  const step = TIME_STEPS.find((candidate) => end / candidate <= room) || roundUp(end / room);
  const ticks = [];
  for (let index = 0; index * step <= end * (1 + 1e-9); index += 1) {
    ticks.push({ value: index * step, label: moment(index * step) });
  }
  return { ticks, at: (value) => from + ((to - from) * value) / end };
}

// Nines, at equal distances.
const nines = (quantile) => Math.log10(1 / (1 - quantile));

// Quantiles up to the one of the last of `values` values.
function quantileScale(values, from, to) {
  const end = Math.max(1, Math.log10(Math.max(values, 1)));
  const marks = [0, 0.5];
  for (let nine = 1; nine <= end + 1e-9; nine += 1) marks.push(1 - 10 ** -nine);
  const at = (quantile) => from + ((to - from) * Math.min(nines(Math.min(quantile, 1 - 1e-15)), end)) / end;
  const ticks = marks.map((value) => ({ value, label: quantileName(value) }));
  // Drop labels that would touch their predecessor.
  const clear = ticks.filter((tick, index) => index === 0 || at(tick.value) - at(ticks[index - 1].value) > 38);
  return { ticks: clear, at };
}
