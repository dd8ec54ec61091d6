// How far llama.cpp's logits may be from the scalar reference's, which rounds nothing but float32 sums.

// roundings are relative errors of what a product of a matrix with a vector takes in, by the type of the weights.
// llama.cpp rounds the vector to the type that it multiplies with.
const roundings = {
  f32: Math.sqrt(1024) * 2 ** -24, // a sum of a thousand terms, each rounded
  f16: 2 ** -11,
  bf16: 2 ** -9,
  int8: 3 / 127 / Math.sqrt(12), // blocks whose largest of 32 to 256 values is three times their RMS; steps are uniform
};

// limit is the most relative error of logits: roundings that are independent of each other, four in each layer and
// one before the output, if none fades away.
export const limit = (type, layers) => (roundings[type] ?? roundings.int8) * Math.sqrt(4 * layers + 1);

export const argmax = (row) => row.reduce((best, x, i) => (x > row[best] ? i : best), 0);

// Difference collects how far predictions are from rows of logits.
export class Difference {
  squares = 0;
  scale = 0;
  values = 0;
  elements = 0;

  // add compares the logits of the likeliest tokens.
  add(row, prediction) {
    for (const [id, x] of prediction.top) this.squares += (x - row[id]) ** 2;
    this.values += prediction.top.size;
    for (const x of row) this.scale += x * x;
    this.elements += row.length;
  }

  // absolute is the RMS of the differences.
  get absolute() { return Math.sqrt(this.squares / this.values); }

  // relative is absolute over the RMS of the logits.
  get relative() { return this.absolute / Math.sqrt(this.scale / this.elements); }
}

// follow goes along a greedy text of llama.cpp's and returns how the reference judges it: the difference of logits over
// prompt and text, and the places where the reference prefers another token, each with the margin of its logits there.
// Such a place is near if errors of that size explain it: both tokens' logits are off, by four standard deviations.
export function follow(rows, predictions, prompt, text) {
  const all = new Difference();
  rows.forEach((row, i) => all.add(row, predictions[i]));
  const parted = [];
  text.forEach((token, i) => {
    const row = rows[prompt.length - 1 + i];
    const best = argmax(row);
    if (best === token) return;
    const margin = row[best] - row[token];
    parted.push({ at: i, best, token, margin, near: margin <= 4 * Math.SQRT2 * all.absolute });
  });
  return { difference: all, parted };
}
