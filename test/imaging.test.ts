import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { isAppError, type ErrorCode } from '../lib/errors.ts';
import {
  asJpeg,
  decodeForModel,
  decodeForModelAndGrey,
  decodeGrey,
  shrinkCover,
} from '../lib/imaging/raster.ts';
import { sniffImage } from '../lib/imaging/sniff.ts';
import type { ModelFrame } from '../lib/imaging/geometry.ts';
import { decodeHeic } from '../lib/imaging/heic.ts';
import { manyScans, withoutAlpha } from './support/pictures.ts';
import { callWithin } from './support/time-limit.ts';
import { references } from './support/reference.ts';

const frameOf = (size: number): ModelFrame => ({ size, crop: size, resize: 'shortest-edge' });
const fixtures = fileURLToPath(new URL('fixtures/clip/pictures', import.meta.url));

/** RGB of a picture at its original size. */
const pixelsOf = (path: string): Promise<Buffer> => sharp(path).removeAlpha().raw().toBuffer();

/** Mean and maximum difference between two pictures, in steps of 1/255. */
function difference(actual: Uint8Array, expected: Uint8Array) {
  assert.equal(actual.length, expected.length);
  const steps = Array.from(actual, (value, i) => Math.abs(value - (expected[i] ?? NaN)));
  return {
    mean: steps.reduce((sum, step) => sum + step, 0) / steps.length,
    max: steps.reduce((most, step) => Math.max(most, step), 0),
  };
}

/** A picture of noise: no pixel can be predicted from its neighbours. */
const noise = (width: number, height: number) => {
  let state = 1;
  const pixels = Buffer.from(
    Array.from({ length: width * height * 3 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    }),
  );
  return sharp(pixels, { raw: { width, height, channels: 3 } });
};

const decodeSmall = (bytes: Buffer) => decodeForModel(bytes, { frame: frameOf(32) });

async function refusal(
  bytes: Buffer,
  maxPixels?: number,
): Promise<{ code: ErrorCode; detail: string }> {
  const options = { frame: frameOf(32), ...(maxPixels !== undefined && { maxPixels }) };
  const error: unknown = await decodeForModel(bytes, options).then(
    () => assert.fail('expected a refusal'),
    (thrown: unknown) => thrown,
  );
  assert.ok(isAppError(error), String(error));
  return error;
}

describe('pictures are decoded as Pillow and transformers do', async () => {
  const names = (await readdir(fixtures)).filter((name) => !name.startsWith('expected-'));
  // Pictures that are enlarged: they match exactly.
  const exact = ['small.png', 'one-pixel.png', 'thin.png'];
  for (const name of names)
    test(`${name}, made by this project`, async () => {
      const expected = await pixelsOf(`${fixtures}/expected-${name.replace(/\.\w+$/, '')}.png`);
      const actual = await decodeSmall(await readFile(`${fixtures}/${name}`));
      const { mean, max } = difference(actual, expected);
      const limit = exact.includes(name) ? { mean: 0, max: 0 } : { mean: 0.8, max: 12 };
      assert.ok(mean <= limit.mean && max <= limit.max, `mean ${String(mean)}, max ${String(max)}`);
    });

  for (const { name: reference, skip, path } of references) {
    const pictures = skip
      ? []
      : (await readdir(path('images'))).filter((name) => !name.startsWith('expected-'));
    test(`the pictures of ${reference}`, { skip }, async (t) => {
      for (const name of pictures)
        await t.test(name, async () => {
          const expected = await pixelsOf(
            path(`images/expected-${name.replace(/\.\w+$/, '')}.png`),
          );
          // transformers drops alpha, unlike lib/imaging: see "a transparent picture" below.
          const bytes = await readFile(path(`images/${name}`));
          const actual = await decodeForModel(await withoutAlpha(bytes), {
            frame: frameOf(224),
            autoOrient: false,
          });
          const { mean, max } = difference(actual, expected);
          assert.ok(mean <= 0.3 && max <= 8, `mean ${String(mean)}, max ${String(max)}`);
        });
    });
  }
});

describe('decoding for the model and in grey at once', async () => {
  const frame = frameOf(224);
  /** Depending on its size, a JPEG is decoded once or shrunk separately for each. */
  const sizes = [
    ...[
      [640, 640],
      [1024, 768],
      [900, 905],
    ],
    ...[
      [2000, 1200],
      [2400, 2000],
      [4000, 3000],
      [3264, 2448],
    ],
    ...[
      [100, 30],
      [3000, 40],
    ],
  ] as const;
  const folders = [fixtures, fileURLToPath(new URL('fixtures/reference/images', import.meta.url))];
  const files = await Promise.all(
    folders.map(async (folder) => (await readdir(folder)).map((name) => `${folder}/${name}`)),
  );
  const pictures = new Map<string, () => Promise<Buffer>>([
    ...files.flat().map((path) => [path.split('/').at(-1) ?? path, () => readFile(path)] as const),
    ...sizes.map(([width = 0, height = 0]) => {
      const name = `a JPEG of ${String(width)} x ${String(height)}`;
      return [name, () => noise(width, height).jpeg().toBuffer()] as const;
    }),
    [
      'one that is turned',
      () => noise(800, 600).jpeg().withMetadata({ orientation: 6 }).toBuffer(),
    ],
    [
      'one whose end is missing',
      async () => (await noise(640, 480).jpeg().toBuffer()).subarray(0, -2),
    ],
    ['one in CMYK', () => noise(640, 480).toColourspace('cmyk').jpeg().toBuffer()],
    ['one of 16 bits', () => noise(640, 480).toColourspace('rgb16').png().toBuffer()],
  ]);
  for (const [name, make] of pictures)
    test(`${name}: the pixels for the model are the same`, async () => {
      const bytes = await make();
      const { rgb, grey } = await decodeForModelAndGrey(bytes, { frame, side: 1024 });
      // A picture with an orientation may be rotated before or after it is shrunk.
      const { max } = difference(rgb, await decodeForModel(bytes, { frame }));
      assert.ok(max <= (name.includes('turned') ? 1 : 0), String(max));
      const alone = await decodeGrey(bytes, { side: 1024 });
      assert.deepEqual([grey.width, grey.height], [alone.width, alone.height]);
      assert.ok(difference(grey.pixels, alone.pixels).mean < 3);
    });
});

describe('a transparent picture', () => {
  type Colour = (x: number, y: number) => readonly [number, number, number, number];
  const rgba = (size: number, colour: Colour) =>
    sharp(
      Buffer.from(
        Array.from({ length: size ** 2 }, (_, i) => colour(i % size, Math.floor(i / size))).flat(),
      ),
      { raw: { width: size, height: size, channels: 4 } },
    );
  const png = (size: number, colour: Colour) => rgba(size, colour).png().toBuffer();
  const wave = (x: number, y: number) => 128 + Math.round(100 * Math.sin(x / 9) * Math.cos(y / 7));
  /** Composited over a grey, like Pillow's `Image.alpha_composite`. */
  const laidOver =
    (grey: number, colour: Colour): Colour =>
    (x, y) => {
      const [red, green, blue, alpha] = colour(x, y);
      const mixed = (value: number) => Math.round((value * alpha + grey * (255 - alpha)) / 255);
      return [mixed(red), mixed(green), mixed(blue), 255];
    };

  const left: Colour = (x, y) => [wave(x, y), 90, wave(y, x), x < 50 ? 255 : 0];
  const speckled: Colour = (x, y) => [wave(x, y), 90, 20, (x * 89 + y * 57) % 256];
  const darkLogo: Colour = (x, y) => [0, 0, 0, wave(x, y)];
  const whiteLogo: Colour = (x, y) => [255, 255, 255, wave(x, y)];
  for (const { what, colour, grey } of [
    { what: 'with a transparent part is composited over white', colour: left, grey: 255 },
    { what: 'is composited over white before it is resized', colour: speckled, grey: 255 },
    {
      what: 'that is a dark logo on transparency is composited over white',
      colour: darkLogo,
      grey: 255,
    },
    {
      what: 'that is a white logo on transparency is composited over black',
      colour: whiteLogo,
      grey: 0,
    },
  ])
    for (const size of [20, 100])
      test(`${what} (${String(size)} pixels)`, async () => {
        const expected = await decodeSmall(await png(size, laidOver(grey, colour)));
        // libvips rounds down where Pillow rounds to the nearest.
        assert.ok(difference(await decodeSmall(await png(size, colour)), expected).max <= 2);
      });

  for (const alpha of [0, 2])
    test(`that is invisible, with an alpha of ${String(alpha)} everywhere, is decoded as if opaque`, async () => {
      const colour: Colour = (x, y) => [wave(x, y), 90, wave(y, x), alpha];
      for (const size of [20, 100]) {
        const bytes = await png(size, colour);
        assert.deepEqual(await decodeSmall(bytes), await decodeSmall(await withoutAlpha(bytes)));
      }
    });

  test('that is all white or all black stays so', async () => {
    for (const grey of [0, 255])
      for (const alpha of [0, 255])
        assert.deepEqual(
          new Set(await decodeSmall(await png(50, () => [grey, grey, grey, alpha]))),
          new Set([grey]),
        );
  });

  test('that is fully opaque is decoded exactly like one without alpha', async () => {
    const opaque = rgba(100, laidOver(255, speckled));
    for (const [width, height] of [
      [20, 28],
      [100, 100],
      [101, 333],
      [4200, 4000], // too large to be held in memory
    ] as const) {
      const picture = opaque.clone().resize(width, height, { fit: 'fill' });
      const bytes = await picture.png({ compressionLevel: 1 }).toBuffer();
      assert.equal((await sharp(bytes).metadata()).hasAlpha, true);
      assert.deepEqual(await decodeSmall(bytes), await decodeSmall(await withoutAlpha(bytes)));
    }
  });

  test('of more than 16 megapixels is composited over white, too', async () => {
    const large = (colour: Colour) =>
      rgba(100, colour)
        .extend({ right: 4100, bottom: 4100, extendWith: 'repeat' })
        .png({ compressionLevel: 1 })
        .toBuffer();
    const expected = await decodeSmall(await large(laidOver(255, left)));
    assert.ok(difference(await decodeSmall(await large(left)), expected).max <= 2);
  });

  test('may be WebP, AVIF, GIF, greyscale, 16-bit or with a palette', async () => {
    const picture = rgba(100, (x) => [200, 0, 0, x < 50 ? 255 : 0]);
    for (const [name, bytes] of Object.entries({
      webp: await picture.clone().webp({ lossless: true }).toBuffer(),
      avif: await picture.clone().avif({ lossless: true }).toBuffer(),
      gif: await picture.clone().gif().toBuffer(),
      grey: await picture.clone().toColourspace('b-w').png().toBuffer(),
      'of 16 bits': await picture.clone().toColourspace('rgb16').png().toBuffer(),
      'of a palette': await picture.clone().png({ palette: true }).toBuffer(),
    })) {
      assert.equal((await sharp(bytes).metadata()).hasAlpha, true, name);
      const seen = await decodeSmall(bytes);
      assert.ok((seen[1] ?? 255) < 130, name);
      assert.ok(
        seen.subarray(-3).every((value) => value >= 253),
        name,
      );
    }
  });
});

describe('pictures of any size and kind', () => {
  test('the EXIF orientation can be ignored', async () => {
    const turned = await readFile(`${fixtures}/orientation-6.jpg`);
    const upright = await readFile(`${fixtures}/orientation-1.jpg`);
    const frame = frameOf(32);
    assert.deepEqual(
      await decodeForModel(turned, { frame, autoOrient: false }),
      await decodeForModel(upright, { frame }),
    );
    assert.notDeepEqual(
      await decodeForModel(turned, { frame }),
      await decodeForModel(upright, { frame }),
    );
  });

  for (const { width, height } of [
    { width: 1, height: 5000 },
    { width: 5000, height: 1 },
    { width: 10, height: 9000 },
    { width: 60_000, height: 40 },
    { width: 300, height: 65_000 },
    { width: 1, height: 1_500_000 },
  ])
    test(`a picture of ${String(width)} x ${String(height)} pixels is decoded`, async () => {
      const flat = { width, height, channels: 3, background: '#c86432' } as const;
      const seen = await decodeSmall(await sharp({ create: flat }).png().toBuffer());
      assert.equal(seen.length, 32 * 32 * 3);
      assert.deepEqual([...new Set(seen)].sort(), [0x32, 0x64, 0xc8].sort());
    });

  test('a large picture is shrunk the same way whether or not its sides divide evenly', async () => {
    for (const [width, height] of [
      [1504, 1128],
      [1500, 1125],
    ] as const) {
      const picture = noise(64, 64).resize(width, height, { fit: 'fill' }).jpeg({ quality: 95 });
      const jpeg = await picture.toBuffer();
      const png = await sharp(jpeg).png().toBuffer();
      const { mean } = difference(
        await decodeForModel(jpeg, { frame: frameOf(224) }),
        await decodeForModel(png, { frame: frameOf(224) }),
      );
      assert.ok(mean < 1, `${String(width)} x ${String(height)}: mean ${String(mean)}`);
    }
  });

  test('the model frame may be the whole picture resized, or a crop smaller than the shortest edge', async () => {
    const picture = await readFile(`${fixtures}/landscape.jpg`);
    for (const frame of [
      { size: 40, crop: 40, resize: 'exact' },
      { size: 40, crop: 36, resize: 'shortest-edge' },
    ] satisfies ModelFrame[])
      assert.equal((await decodeForModel(picture, { frame })).length, frame.crop ** 2 * 3);
  });
});

const iso = (...brands: string[]) => {
  const box = Buffer.alloc(8 + 4 * (brands.length + 1));
  box.writeUInt32BE(box.length);
  box.write(`ftyp${brands[0] ?? ''}`, 4, 'latin1');
  for (const [i, brand] of brands.slice(1).entries()) box.write(brand, 16 + 4 * i, 'latin1');
  return box;
};
const padded = (start: string) => Buffer.concat([Buffer.from(start, 'latin1'), Buffer.alloc(64)]);
const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';

describe('a format is recognised by its first bytes', () => {
  for (const { bytes, format } of [
    { bytes: padded('\xff\xd8\xff\xe0'), format: 'jpeg' },
    { bytes: padded('\x89PNG\r\n\x1a\n'), format: 'png' },
    { bytes: padded('RIFF\x10\0\0\0WEBPVP8 '), format: 'webp' },
    { bytes: padded('RIFF\x10\0\0\0WAVEfmt '), format: null },
    { bytes: padded('GIF89a'), format: 'gif' },
    { bytes: iso('avif', 'mif1'), format: 'avif' },
    { bytes: iso('mif1', 'mif1', 'avif'), format: 'avif' },
    { bytes: iso('mif1', 'mif1', 'heic'), format: 'heic' },
    { bytes: iso('heic', 'mif1'), format: 'heic' },
    { bytes: iso('mif1'), format: 'heic' },
    { bytes: iso('isom', 'mp42'), format: null },
    { bytes: Buffer.from(svg), format: 'svg' },
    { bytes: Buffer.from(`\uFEFF<?xml version="1.0"?>\n<!-- a < b -->\n${svg}`), format: 'svg' },
    {
      bytes: Buffer.from(`<!DOCTYPE svg [ <!ENTITY a "b"> ] > <!-- --> ${svg}`),
      format: 'svg',
    },
    {
      bytes: Buffer.from(`<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">${svg}`),
      format: 'svg',
    },
    { bytes: Buffer.from('<html><svg></svg></html>'), format: null },
    { bytes: Buffer.from('%PDF-1.7'), format: 'pdf' },
    { bytes: Buffer.alloc(0), format: null },
    { bytes: Buffer.from([0xff]), format: null },
  ])
    test(`${JSON.stringify(bytes.toString('latin1', 0, 16))} is ${String(format)}`, () => {
      assert.equal(sniffImage(bytes), format);
    });
});

describe('input that is not a picture is recognised quickly, however it is built', () => {
  const built: readonly [string, string][] = [
    ['comments', `${'<!---->'.repeat(40)}x`],
    ['open comments', '<!--'.repeat(256)],
    ['XML declarations', `${'<?xml?>'.repeat(140)}x`],
    ['DOCTYPEs', `${'<!DOCTYPE a>'.repeat(80)}x`],
    ['DOCTYPEs with a subset', `${'<!DOCTYPE a[]>'.repeat(70)}x`],
    ['brackets', `<!DOCTYPE a[${'] '.repeat(500)}`],
    ['blanks', ' '.repeat(1024)],
  ];
  for (const [what, text] of built)
    test(`1 KB of ${what}`, async () => {
      const found = await callWithin(
        20_000,
        'lib/imaging/sniff.ts',
        'sniffImage',
        new Uint8Array(Buffer.from(text)),
      );
      assert.equal(found, null);
    });
});

describe('a bad picture is refused with a specific error', () => {
  for (const { what, bytes, code, says } of [
    {
      what: 'text',
      bytes: Buffer.from('Dear sir, see the photo.'),
      code: 'not_an_image',
      says: /not a picture/,
    },
    { what: 'zeros', bytes: Buffer.alloc(5000), code: 'not_an_image', says: /not a picture/ },
    { what: 'an SVG', bytes: Buffer.from(svg), code: 'not_an_image', says: /an SVG drawing/ },
    {
      what: 'a PDF',
      bytes: Buffer.from('%PDF-1.7\n'),
      code: 'not_an_image',
      says: /a PDF document/,
    },
    {
      what: 'a JPEG XL picture',
      bytes: padded('\xff\x0a'),
      code: 'unsupported_image',
      says: /JPEG XL.*JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF/,
    },
    {
      what: 'a BMP',
      bytes: padded('BM'),
      code: 'unsupported_image',
      says: /BMP.*JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF/,
    },
    {
      what: 'the start of a JPEG and no more',
      bytes: padded('\xff\xd8\xff\xe0'),
      code: 'unreadable_image',
      says: /JPEG picture is damaged/,
    },
    {
      what: 'an empty TIFF',
      bytes: padded('II*\0'),
      code: 'unreadable_image',
      says: /TIFF picture is damaged/,
    },
    {
      what: 'an empty HEIC photo',
      bytes: iso('heic', 'mif1', 'heic'),
      code: 'unreadable_image',
      says: /HEIC picture is damaged/,
    },
    {
      what: 'an empty AVIF',
      bytes: iso('avif', 'mif1'),
      code: 'unreadable_image',
      says: /AVIF picture is damaged/,
    },
  ] satisfies { what: string; bytes: Buffer; code: ErrorCode; says: RegExp }[])
    test(`${what} is ${code}`, async () => {
      const { code: actual, detail } = await refusal(bytes);
      assert.equal(actual, code);
      assert.match(detail, says);
      assert.match(detail, /^[A-Z][^.]*\.$/, 'one sentence');
    });

  for (const format of ['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const)
    test(`a truncated ${format} is unreadable_image, wherever it is cut`, async () => {
      // Taller than wide: the missing part lies below the crop for the model.
      const whole = await noise(60, 400).toFormat(format).toBuffer();
      assert.equal((await decodeSmall(whole)).length, 32 * 32 * 3);
      for (const share of [0.02, 0.1, 0.5, 0.8, 0.97])
        assert.equal(
          (await refusal(whole.subarray(0, Math.max(20, whole.length * share)))).code,
          'unreadable_image',
          `at ${String(share)}`,
        );
    });

  test('a JPEG without its end marker is read, since its pixels are complete', async () => {
    for (const progressive of [false, true]) {
      const whole = await noise(60, 400).jpeg({ progressive }).toBuffer();
      for (const missing of [1, 2])
        assert.deepEqual(
          await decodeSmall(whole.subarray(0, whole.length - missing)),
          await decodeSmall(whole),
        );
    }
  });

  test('a large JPEG that lacks 1 % of its data is read, one that lacks 4 % is not', async () => {
    const whole = await noise(300, 1600).jpeg().toBuffer();
    const cut = (share: number) => whole.subarray(0, whole.length * (1 - share));
    assert.deepEqual(await decodeSmall(cut(0.01)), await decodeSmall(whole));
    for (const share of [0.04, 0.3])
      assert.equal((await refusal(cut(share))).code, 'unreadable_image');
  });

  test('a byte order mark or blank lines before a JPEG are skipped', async () => {
    const whole = await noise(60, 60).jpeg().toBuffer();
    for (const before of ['\uFEFF', '\r\n', '\n\n  '])
      assert.deepEqual(
        await decodeSmall(Buffer.concat([Buffer.from(before), whole])),
        await decodeSmall(whole),
      );
  });

  test('half a JPEG is refused every time, whatever is decoded concurrently', async () => {
    const jpeg = await noise(640, 640).jpeg().toBuffer();
    const half = jpeg.subarray(0, jpeg.length / 2);
    const refusals = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        if (i % 3 === 0) await decodeSmall(jpeg);
        const reading = i % 2 === 0 ? decodeSmall(half) : asJpeg(half);
        return reading.then(
          () => 'taken',
          (error: unknown) => isAppError(error) && error.code,
        );
      }),
    );
    assert.deepEqual(new Set(refusals), new Set(['unreadable_image']));
  });

  test('a truncated progressive JPEG is unreadable_image', async () => {
    const whole = await noise(300, 300).jpeg({ progressive: true }).toBuffer();
    assert.equal((await refusal(whole.subarray(0, whole.length * 0.6))).code, 'unreadable_image');
  });

  test('a truncated small JPEG, which would be enlarged, is refused too', async () => {
    const whole = await noise(20, 30).jpeg().toBuffer();
    assert.equal((await refusal(whole.subarray(0, whole.length * 0.9))).code, 'unreadable_image');
  });

  test('stray bytes after a JPEG are ignored', async () => {
    const whole = await noise(64, 64).jpeg().toBuffer();
    const seen = await decodeSmall(Buffer.concat([whole, Buffer.from('taken with a phone')]));
    assert.deepEqual(seen, await decodeSmall(whole));
  });

  test('a picture one pixel over the limit is image_too_large, one at the limit is not', async () => {
    const picture = await noise(100, 100).png().toBuffer();
    const { code, detail } = await refusal(picture, 9_999);
    assert.equal(code, 'image_too_large');
    assert.match(detail, /100 x 100 pixels/);
    const frame = frameOf(32);
    await decodeForModel(picture, { frame, maxPixels: 10_000 });
  });

  test('a bomb of 100 megapixels is refused by its header, without allocating its pixels', async () => {
    const size = { width: 10_000, height: 10_000 };
    const bomb = await sharp({ create: { ...size, channels: 3, background: '#000' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    const before = process.memoryUsage().rss;
    const { code, detail } = await refusal(bomb);
    assert.equal(code, 'image_too_large');
    assert.match(detail, /10000 x 10000 pixels: expected at most 64 megapixels/);
    assert.ok(process.memoryUsage().rss - before < 50e6);
  });
});

describe('the number of scans in a JPEG is limited', () => {
  for (const [what, read] of Object.entries({
    'as a query': decodeSmall,
    'as a cover of a CSV': asJpeg,
    'as a thumbnail': (bytes: Buffer) => shrinkCover(bytes, 160, 'webp'),
  })) {
    test(`more than 100 scans are refused ${what}`, async () => {
      await assert.rejects(
        async () => read(await manyScans(101)),
        (error) => isAppError(error) && error.code === 'unreadable_image',
      );
    });
    test(`as many scans as programs write are accepted ${what}`, async () => {
      await read(await manyScans(20));
    });
  }

  test('data after the picture, such as the video of a motion photo, is not counted', async () => {
    const startsOfScans = Buffer.alloc(4000, Buffer.from([0xff, 0xda]));
    await decodeSmall(Buffer.concat([await manyScans(0), startsOfScans]));
  });
});

/** From test/fixtures/heic: created by Debian's libheif with the structure of iPhone photos. */
const heicFixture = (name: string) =>
  readFile(fileURLToPath(new URL(`fixtures/heic/${name}`, import.meta.url)));

describe('HEIC', () => {
  const frame: ModelFrame = { size: 96, crop: 96, resize: 'exact' };

  /** A copy with each box of a kind edited in place, which must not change its length. */
  function edited(heic: Buffer, kind: string, edit: (box: Buffer) => void): Buffer {
    const copy = Buffer.from(heic);
    let found = 0;
    for (let at = copy.indexOf(kind); at >= 0; at = copy.indexOf(kind, at + 4), found += 1)
      edit(copy.subarray(at, at + 20));
    assert.ok(found > 0);
    return copy;
  }

  /** The stored picture, rotated clockwise or mirrored, decoded for the model. */
  const shown = async (change: (reader: Sharp) => Sharp) => {
    const png = await change(sharp(await heicFixture('photo.png')))
      .png()
      .toBuffer();
    return decodeForModel(png, { frame });
  };

  // The box `irot` counts quarter turns anticlockwise. The EXIF data beside it always say a quarter turn clockwise.
  for (const quarters of [0, 1, 2, 3])
    test(`a grid of tiles with ${String(quarters)} quarter turns is rotated exactly once`, async () => {
      const heic = edited(await heicFixture('photo.heic'), 'irot', (box) => (box[4] = quarters));
      const { mean } = difference(
        await decodeForModel(heic, { frame }),
        await shown((reader) => reader.rotate(360 - 90 * quarters)),
      );
      assert.ok(mean < 3, `mean difference ${String(mean)}`);
    });

  for (const axis of [0, 1])
    test(`a picture with the mirror axis ${String(axis)} is mirrored`, async () => {
      const heic = edited(await heicFixture('photo.heic'), 'irot', (box) => {
        box.write('imir', 'latin1');
        box[4] = axis;
      });
      const { mean } = difference(
        await decodeForModel(heic, { frame }),
        await shown((reader) => (axis === 0 ? reader.flip() : reader.flop())),
      );
      assert.ok(mean < 3, `mean difference ${String(mean)}`);
    });

  test('a cover is converted to a JPEG and to a thumbnail', async () => {
    const heic = await heicFixture('photo.heic');
    const size = async (bytes: Buffer) => {
      const { format, width, height } = await sharp(bytes).metadata();
      return { format, width, height };
    };
    assert.deepEqual(await size(await asJpeg(heic)), { format: 'jpeg', width: 200, height: 240 });
    assert.deepEqual(await size(await shrinkCover(heic, 120, 'webp')), {
      format: 'webp',
      width: 100,
      height: 120,
    });
  });

  test('too many pixels are refused before decoding, even if the header claims fewer', async () => {
    const bomb = await heicFixture('bomb.heic');
    const started = performance.now();
    assert.equal((await refusal(bomb)).code, 'image_too_large');
    const lying = edited(bomb, 'ispe', (box) => {
      box.writeUInt32BE(64, 8);
      box.writeUInt32BE(64, 12);
    });
    const { code, detail } = await refusal(lying);
    assert.equal(code, 'unreadable_image', detail);
    assert.ok(performance.now() - started < 10_000);
  });

  test('a truncated file is refused, wherever it is cut', async () => {
    const heic = await heicFixture('photo.heic');
    for (const share of [0.02, 0.1, 0.5, 0.9])
      assert.equal(
        (await refusal(heic.subarray(0, heic.length * share))).code,
        'unreadable_image',
        `at ${String(share)}`,
      );
  });

  test('a picture that takes too long is abandoned, and the next is decoded', async () => {
    const heic = await heicFixture('photo.heic');
    await assert.rejects(decodeHeic(heic, 64e6, 1), {
      code: 'unreadable_image',
      message: /longer than 0\.001 s/,
    });
    const { width, height } = await decodeHeic(heic, 64e6);
    assert.deepEqual([width, height], [200, 240]);
  });

  test('many pictures can be decoded concurrently', async () => {
    const heic = await heicFixture('photo.heic');
    const decoded = await Promise.all(Array.from({ length: 8 }, () => decodeSmall(heic)));
    assert.equal(new Set(decoded.map((rgb) => Buffer.from(rgb).toString('hex'))).size, 1);
  });
});

test('a TIFF is read and rotated upright', async () => {
  const picture = noise(60, 40);
  const tiff = await picture
    .clone()
    .withMetadata({ orientation: 3 })
    .tiff({ compression: 'lzw' })
    .toBuffer();
  const png = await picture.clone().rotate(180).png().toBuffer();
  assert.deepEqual(await decodeSmall(tiff), await decodeSmall(png));
});
