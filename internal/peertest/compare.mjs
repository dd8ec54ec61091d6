// How far llama.cpp's logits may be from those of the scalar reference, which rounds nothing but float32 sums.

// roundings are relative errors of one product of a matrix with a vector. llama.cpp rounds the vector to the type of the
// weights, or to 8 bits if they are quantized; so do our CPU kernels in the latter case, and only there.
const roundings = {
  f32: Math.sqrt(1024) * 2 ** -24, // a sum of a thousand terms, each rounded
  f16: 2 ** -11,
  bf16: 2 ** -9,
  int8: 3 / 127 / Math.sqrt(12), // uniform steps of 1/127 of a block's largest value, which is three times its RMS
};

// Limits knows how a model amplifies roundings: our CPU kernels' error on its Q8_0 file tells.
export class Limits {
  constructor(q8_0) { this.amplification = q8_0 / roundings.int8; }

  // of returns the most relative error of llama.cpp's logits: twice what is expected. own is the error of our kernels in
  // the same type.
  of(type, own) { return 2 * (type in roundings ? roundings[type] * this.amplification : own); }
}

export const argmax = (row) => row.reduce((best, x, i) => (x > row[best] ? i : best), 0);

// Difference is how far logits are from rows of the reference.
export class Difference {
  squares = 0;
  values = 0;
  scale = 0;
  elements = 0;

  // constructor takes, for each row, an iterable of pairs of a token and its logit.
  constructor(rows, others) {
    for (const [i, row] of rows.entries()) {
      for (const [id, x] of others[i]) {
        this.squares += (x - row[id]) ** 2;
        this.values++;
      }
      for (const x of row) this.scale += x * x;
      this.elements += row.length;
    }
  }

  // absolute is the RMS of the differences.
  get absolute() { return Math.sqrt(this.squares / this.values); }

  // relative is absolute over the RMS of the logits.
  get relative() { return this.absolute / Math.sqrt(this.scale / this.elements); }
}

// near is the widest margin between two logits that errors of the given RMS explain: both are off, by four standard
// deviations.
export const near = (...errors) => 4 * Math.SQRT2 * errors.reduce((a, b) => a + b);

// parted goes along a text that another engine prefers at each step, and returns the places where rows prefer another
// token, with the margin of its logit.
export function parted(rows, prompt, text) {
  const out = [];
  for (const [at, token] of text.entries()) {
    const row = rows[prompt.length - 1 + at];
    const best = argmax(row);
    if (best !== token) out.push({ at, best, token, margin: row[best] - row[token] });
  }
  return out;
}
