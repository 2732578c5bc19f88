// Fetches a CLIP model for the image at build, and checks that it is the one that was meant.
// usage: node infra/fetch-model.mjs TARGET_FOLDER        (the Dockerfile does this)
// MODEL_URL     base URL of a folder in transformers.js's layout; empty: nothing is fetched
// MODEL_DTYPE   fp32, fp16 or q8
// MODEL_SHA256  SHA-256 over the files' SHA-256 sums as `sha256sum` prints them, in the order of the names below
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const {
  MODEL_URL: base = '',
  MODEL_DTYPE: dtype = 'q8',
  MODEL_SHA256: expected = '',
} = process.env;
const suffixes = { fp32: '', fp16: '_fp16', q8: '_quantized' };

/** Times that a file is asked for. */
const attempts = 4;

async function main([target]) {
  if (target === undefined) throw new Error('usage: node infra/fetch-model.mjs TARGET_FOLDER');
  mkdirSync(target, { recursive: true });
  if (base === '') {
    console.log('No MODEL_URL: the image is built without a model.');
    return;
  }
  if (!(dtype in suffixes))
    throw new Error(`Expected fp32, fp16 or q8 for MODEL_DTYPE but received "${dtype}".`);
  const names = [
    'config.json',
    'preprocessor_config.json',
    'tokenizer.json',
    `onnx/vision_model${suffixes[dtype]}.onnx`,
    `onnx/text_model${suffixes[dtype]}.onnx`,
  ];
  const sums = [];
  for (const name of names) {
    const { href } = new URL(name, base.endsWith('/') ? base : `${base}/`);
    const bytes = await fetchFile(href);
    if (bytes === null)
      throw new Error(
        `${href} is missing: MODEL_URL must be a folder in transformers.js's layout, with ${names.join(', ')}.`,
      );
    const sum = createHash('sha256').update(bytes).digest('hex');
    sums.push(`${sum}  ${name}\n`);
    console.log(`${sum}  ${name}  ${bytes.length} bytes`);
    mkdirSync(dirname(join(target, 'clip', name)), { recursive: true });
    writeFileSync(join(target, 'clip', name), bytes);
  }
  const found = createHash('sha256').update(sums.join('')).digest('hex');
  if (found !== expected)
    throw new Error(
      expected === ''
        ? `MODEL_SHA256 is not set. If these are the files that you mean, build again with --build-arg MODEL_SHA256=${found}`
        : `The model is not the one that was meant: MODEL_SHA256 is ${expected} but the files' is ${found}.`,
    );
}

/** The file's content; `null` where there is none. */
async function fetchFile(url) {
  for (let attempt = 1; ; attempt += 1)
    try {
      const response = await fetch(url);
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(`${url} answers ${response.status}`);
      return Buffer.from(await response.arrayBuffer());
    } catch (error) {
      if (attempt === attempts) throw new Error(`${url} could not be fetched: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 1000 * 2 ** attempt));
    }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
