/* A recommender in the browser: reads a file that `save_model` has written, and recommends from it.

   The file is a safetensors file: the length of a JSON header (8 bytes), the header, and arrays in
   little-endian order. The header's metadata describes the model in JSON: a pipeline of an IdMapper,
   a LogCountTransformer or none, and a model with sparse weights. Arithmetic is that of 32-bit
   numbers, as in Python. */

const ARRAYS = {
  F32: Float32Array, F64: Float64Array, I32: Int32Array, I64: BigInt64Array, U8: Uint8Array,
};

/** Raised if a file is no model that this page can use. */
export class ModelError extends Error {}

/** Return the recommender in the bytes of a model file (an ArrayBuffer). */
export async function read(buffer) {
  let contents;
  try {
    contents = parse(buffer);
    await check(buffer, contents);
    return new Recommender(...parts(contents));
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`This is no model file, or it is damaged (${error.message}).`);
  }
}

function parse(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
  const { __metadata__: metadata, ...fields } = JSON.parse(header);
  if (metadata?.shallow_ae === undefined) throw new ModelError("This file was not written by save_model.");
  const start = 8 + length;
  const array = ({ name }) => {
    const { dtype, data_offsets: [from, to] } = fields[name];
    if (!(dtype in ARRAYS)) throw new ModelError(`This page reads no arrays of the type ${dtype}.`);
    return new ARRAYS[dtype](buffer.slice(start + from, start + to));  // a copy is aligned
  };
  return { document: JSON.parse(metadata.shallow_ae), checksum: metadata.sha256, header, array };
}

/** Compare the checksum, which browsers can compute on pages that came by HTTPS or from this machine. */
async function check(buffer, { checksum, header }) {
  if (!globalThis.crypto?.subtle) return;
  const bytes = new Uint8Array(buffer.slice(0));
  const place = 8 + new TextEncoder().encode(header.slice(0, header.indexOf(`"sha256":"${checksum}"`))).length;
  bytes.fill("0".charCodeAt(0), place + 10, place + 10 + checksum.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== checksum) throw new ModelError("This file has changed since it was saved: its checksum is wrong.");
}

/** Return the names of the items, the weights, the users of each item, and whether counts are weighted. */
function parts({ document, array }) {
  const { kind, params } = document.model;
  if (kind !== "RecommenderPipeline") throw new ModelError("This page needs the file of a pipeline with ids.");
  const steps = params.steps.map(([, step]) => step);
  const mapper = steps.shift(), model = steps.pop();
  if (steps.some((step) => step.kind !== "LogCountTransformer") || steps.length > 1) {
    throw new ModelError("This page knows no step but LogCountTransformer before the model.");
  }
  const { weights, item_counts: counts } = model.learned._fitted ?? {};
  const P = weights?.form?.P;
  if (P?.["@"] !== "csr") throw new ModelError("This page needs sparse weights. Call sparsify before save_model.");
  const csr = { data: array(P.data), indices: array(P.indices), indptr: array(P.indptr) };
  return [names(mapper.learned.items_.ids, array), csr, array(counts), steps.length === 1];
}

function names(ids, array) {
  if (ids.numbers) return [...array(ids.numbers)].map(String);
  if (!ids.texts) throw new ModelError("This page needs ids that are texts or numbers.");
  const bytes = array(ids.texts.bytes), decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let start = 0;
  return [...array(ids.texts.ends)].map((end) => {
    const text = decoder.decode(bytes.subarray(start, Number(end)));
    start = Number(end);
    return text;
  });
}

/** Recommends to one person from a Map of item to count. */
export class Recommender {
  constructor(items, weights, counts, isWeighted) {
    this.items = items;
    this.counts = counts;
    this.weights = weights;
    this.isWeighted = isWeighted;
    this.columnOf = new Map(items.map((item, column) => [item, column]));
    this.scores = new Float32Array(items.length);
    this.byPopularity = order(counts, counts.keys());
  }

  /** Return the `k` best items that are not in `history`, with their scores. */
  recommend(history, k = 10) {
    const seen = this.#columns(history);
    if (!seen.length) {
      const found = this.byPopularity.slice(0, k).map((column) => this.#scored(column, this.counts[column]));
      return { found, byPopularity: true };
    }
    const { scores, weights: { data, indices, indptr } } = this;
    scores.fill(0);
    for (const { column, value } of seen) {
      for (let entry = indptr[column]; entry < indptr[column + 1]; entry++) {
        scores[indices[entry]] += Math.fround(value * data[entry]);
      }
    }
    for (const { column } of seen) scores[column] = -Infinity;
    const best = top(scores, k).filter((column) => scores[column] > -Infinity);
    return { found: best.map((column) => this.#scored(column, scores[column])), byPopularity: false };
  }

  /** Return what each item of `history` adds to the score of an item, the most first. */
  explain(history, item) {
    const target = this.columnOf.get(item);
    const seen = this.#columns(history);
    const parts = Float32Array.from(seen, ({ column, value }) => value * this.#weight(column, target));
    return order(parts, parts.keys()).map((place) => this.#scored(seen[place].column, parts[place]));
  }

  /** Return the items whose names hold a text, those that begin with it first, then by popularity. */
  search(text, k = 8) {
    const plain = (name) => name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    const asked = plain(text.trim());
    this.plainNames ??= this.items.map(plain);
    const begins = [], holds = [];
    for (const column of this.byPopularity) {
      const place = this.plainNames[column].indexOf(asked);
      if (place === 0) begins.push(column);
      else if (place > 0) holds.push(column);
      if (begins.length === k) break;
    }
    return [...begins, ...holds].slice(0, k).map((column) => this.items[column]);
  }

  /** The known items of a history in ascending order of columns, with the values that the model takes. */
  #columns(history) {
    return [...history]
      .filter(([item, count]) => this.columnOf.has(item) && count > 0)
      .map(([item, count]) => ({ column: this.columnOf.get(item), value: this.#value(count) }))
      .sort((one, other) => one.column - other.column);
  }

  #value(count) {
    return Math.fround(this.isWeighted ? Math.fround(Math.log1p(count)) + 1 : count);
  }

  #weight(source, target) {
    const { data, indices, indptr } = this.weights;
    for (let entry = indptr[source]; entry < indptr[source + 1]; entry++) {
      if (indices[entry] === target) return data[entry];
    }
    return 0;
  }

  #scored(column, score) {
    return { item: this.items[column], score, users: this.counts[column] };
  }
}

/** Sort places by descending value; equal values by place. */
function order(values, places) {
  return [...places].sort((one, other) => values[other] - values[one] || one - other);
}

/** Return the places of the `k` largest values without sorting the others. */
function top(values, k) {
  let best = [], bar = -Infinity;
  for (let place = 0; place < values.length; place++) {
    if (values[place] <= bar) continue;
    best.push(place);
    if (best.length >= 4 * k + 64) {
      best = order(values, best).slice(0, k);
      bar = values[best[k - 1]];
    }
  }
  return order(values, best).slice(0, k);
}
