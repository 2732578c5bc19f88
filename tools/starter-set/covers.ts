import { drawLettering, type Lettering } from './lettering.ts';
import { contrast, css, legible, lighter, shadeOf, type Colour, type Shade } from './palette.ts';
import { Random } from './random.ts';
import { canBeOutlined, rotationOf, shapePath, type Shape } from './shapes.ts';
import { coverEdge, drawTexture, type Texture } from './textures.ts';

/** The content of a cover, as one would describe it in words. */
export interface CoverTags {
  readonly shape: Shape;
  readonly shapeColour: Colour;
  readonly texture: Texture;
  /** The texture's ink; the base shows between it. */
  readonly textureColour: Colour;
  readonly baseColour: Colour;
}

export const layouts = [
  'centre',
  'band-below',
  'band-aside',
  'row',
  'scatter',
  'off-centre',
  'panel',
  'half',
] as const;
export type Layout = (typeof layouts)[number];

/** The input of {@link drawCover}; everything else follows from the seed. */
export interface CoverSpec {
  readonly seed: number;
  readonly layout: Layout;
  readonly tags: CoverTags;
  readonly artist: string;
  readonly title: string;
}

interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** One shape: its centre, radius and rotation in degrees. */
interface Place {
  x: number;
  y: number;
  radius: number;
  turn: number;
}

interface Composition {
  /** The textured area; elsewhere the base is plain. Default: everywhere. */
  clip?: string;
  /** Plain areas over the texture, and neutral bands. */
  panels: string;
  places: Place[];
  letters: string;
}

/** Properties shared by all parts of a cover. */
interface Sheet {
  random: Random;
  spec: CoverSpec;
  base: Shade;
  /** Neutral colours: nearly black for light grounds, off-white for dark ones. */
  dark: string;
  light: string;
  voice: Pick<Lettering, 'weight' | 'slant' | 'spacing'>;
}

const n = (value: number): string => value.toFixed(1);
const whole: Area = { x: 0, y: 0, width: coverEdge, height: coverEdge };

const rect = ({ x, y, width, height }: Area, attributes: string): string =>
  `<rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" ${attributes}/>`;

/**
 * Draws a cover: ground, texture, shapes, lettering and small neutral decorations.
 *
 * @returns an SVG document of 640 x 640 without fonts, filters or external resources
 */
export function drawCover(spec: CoverSpec): string {
  const random = new Random(spec.seed);
  const { tags } = spec;
  const sheet = makeSheet(spec, random);
  const texture = drawTexture(tags.texture, css(shadeOf(tags.textureColour, random)), random);
  const { clip, panels, places, letters } = compositions[spec.layout](sheet);
  const { defs, drawn } = drawShapes(sheet, places);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${String(coverEdge)}" height="${String(coverEdge)}" viewBox="0 0 ${String(coverEdge)} ${String(coverEdge)}">`,
    `<defs>${defs}${clip ? `<clipPath id="area">${clip}</clipPath>` : ''}${light(random)}</defs>`,
    rect(whole, `fill="${css(sheet.base)}"`),
    clip ? `<g clip-path="url(#area)">${texture}</g>` : texture,
    panels,
    drawn,
    letters,
    decoration(sheet),
    rect(whole, 'fill="url(#light)"'),
    rect(whole, 'fill="url(#edge)"'),
    '</svg>',
  ].join('');
}

function makeSheet(spec: CoverSpec, random: Random): Sheet {
  const base = shadeOf(spec.tags.baseColour, random);
  return {
    random,
    spec,
    base,
    dark: css({ hue: random.between(0, 360), saturation: 8, lightness: random.between(8, 16) }),
    light: css({ hue: random.between(30, 60), saturation: 30, lightness: random.between(91, 97) }),
    voice: {
      weight: random.between(0.07, 0.19),
      slant: random.chance(0.3) ? random.between(6, 16) : 0,
      spacing: random.pick([0.18, 0.26, 0.34, 0.5]),
    },
  };
}

/** A slight gradient of light and darker edges, like a print under a lamp. */
function light(random: Random): string {
  const end = () => n(random.next());
  const strength = random.between(0, 0.1).toFixed(3);
  const edge = random.between(0, 0.22).toFixed(3);
  return (
    `<linearGradient id="light" x1="${end()}" y1="${end()}" x2="${end()}" y2="${end()}"><stop offset="0" stop-color="#fff" stop-opacity="${strength}"/><stop offset="1" stop-color="#000" stop-opacity="${strength}"/></linearGradient>` +
    `<radialGradient id="edge" r="0.75"><stop offset="0.6" stop-color="#000" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity="${edge}"/></radialGradient>`
  );
}

/* Shapes */

const paints = ['solid', 'solid', 'shaded', 'outlined', 'inlaid', 'edged'] as const;

function drawShapes(sheet: Sheet, places: readonly Place[]): { defs: string; drawn: string } {
  const { random, spec, base } = sheet;
  const { shape, shapeColour, textureColour } = spec.tags;
  const path = shapePath(shape, random);
  const shade = shadeOf(shapeColour, random);
  const ink = css(shade);
  const asked = random.pick(paints);
  const paint = asked === 'outlined' && !canBeOutlined(shape) ? 'shaded' : asked;
  const otherShade = css(lighter(shade, shade.lightness > 60 ? -7 : 7));
  const clearsTexture = contrast(shapeColour, textureColour) >= legible;
  const halo = !clearsTexture || random.chance(0.6) ? random.between(9, 16) : 0;
  const line = random.between(2, 4);
  const turned = random.chance(0.5) ? random.between(-12, 12) : 0;
  const one = (place: Place): string => {
    const scaled = (attributes: string, size = place.radius) =>
      `<path transform="translate(${n(place.x)} ${n(place.y)}) rotate(${n(place.turn)}) scale(${n(size)})" fill-rule="evenodd" stroke-linejoin="round" d="${path}" ${attributes}/>`;
    const wide = (pixels: number) => (pixels / place.radius).toFixed(4);
    const around = halo
      ? scaled(
          `fill="${paint === 'outlined' ? css(base) : 'none'}" stroke="${css(base)}" stroke-width="${wide(2 * halo + (paint === 'outlined' ? place.radius * 0.24 : 0))}"`,
        )
      : '';
    const inlay = scaled(`fill="${otherShade}"`, place.radius * 0.55);
    switch (paint) {
      case 'solid':
        return around + scaled(`fill="${ink}"`);
      case 'shaded':
        return around + scaled('fill="url(#shade)"');
      case 'inlaid':
        return (
          around + scaled(`fill="${ink}"`) + (shape === 'ring' || shape === 'crescent' ? '' : inlay)
        );
      case 'edged':
        return (
          around + scaled(`fill="${ink}" stroke="${otherShade}" stroke-width="${wide(2 * line)}"`)
        );
      case 'outlined':
        return around + scaled(`fill="none" stroke="${ink}" stroke-width="0.24"`);
    }
  };
  const defs = `<linearGradient id="shade" x1="0" y1="0" x2="${turned > 0 ? '1' : '0'}" y2="1"><stop offset="0" stop-color="${ink}"/><stop offset="1" stop-color="${otherShade}"/></linearGradient>`;
  return {
    defs,
    drawn: places.map((place) => one({ ...place, turn: place.turn + turned / 4 })).join(''),
  };
}

/** One rotation for all shapes of a cover: shapes pointing in different directions look untidy. */
const turnOf = ({ random, spec }: Sheet): number => rotationOf(spec.tags.shape, random);

/** Minimum radius of a shape: a smaller one would look like decoration. */
const least = 64;

/** Shapes evenly spaced along a line within the area. */
function inRow(sheet: Sheet, most: number, { x, y, width, height }: Area): Place[] {
  const { random } = sheet;
  const turn = turnOf(sheet);
  const upright = height > width * 1.2 || (height > width * 0.8 && random.chance(0.4));
  const slope = Math.abs(height - width) < 0.25 * width && random.chance(0.4);
  const length = upright ? height : width;
  const count = Math.min(most, Math.floor(length / (2.15 * least)));
  const radius = Math.min(length / (2.15 * count), Math.min(width, height) * 0.44);
  const growing = random.chance(0.3) ? random.between(-0.22, 0.22) : 0;
  return Array.from({ length: count }, (_, i) => {
    const along = (i + 0.5) / count;
    const across = slope ? along * 0.7 + 0.15 : 0.5;
    const size = radius * (1 + growing * (2 * along - 1)) * 0.97;
    return {
      x: x + width * (upright ? across : along),
      y: y + height * (upright ? along : across),
      radius: size,
      turn,
    };
  });
}

/** Shapes of different sizes that don't overlap. */
function scattered(sheet: Sheet, count: number, { x, y, width, height }: Area): Place[] {
  const { random } = sheet;
  const turn = turnOf(sheet);
  const places: Place[] = [];
  const largest = Math.min(width, height) * (count === 2 ? 0.3 : count === 3 ? 0.27 : 0.23);
  for (let attempt = 0; places.length < count && attempt < 400; attempt++) {
    const radius = Math.max(least, largest * random.between(0.62, 1) * (1 - attempt / 900));
    const place = {
      x: random.between(x + radius, x + width - radius),
      y: random.between(y + radius, y + height - radius),
      radius,
      turn: turn + random.between(-5, 5),
    };
    const clear = places.every(
      (other) => Math.hypot(place.x - other.x, place.y - other.y) > radius + other.radius + 4,
    );
    if (clear) places.push(place);
  }
  return places;
}

function alone(sheet: Sheet, { x, y, width, height }: Area): Place[] {
  const { random } = sheet;
  const radius = (Math.min(width, height) / 2) * random.between(0.72, 0.96);
  return [
    {
      x: x + width / 2 + (width / 2 - radius) * random.between(-0.7, 0.7),
      y: y + height / 2 + (height / 2 - radius) * random.between(-0.7, 0.7),
      radius,
      turn: turnOf(sheet),
    },
  ];
}

/** Usually one shape, sometimes up to five. */
function arranged(sheet: Sheet, area: Area): Place[] {
  const count = sheet.random.pick([1, 1, 1, 1, 1, 2, 3, 4, 5]);
  if (count === 1) return alone(sheet, area);
  return sheet.random.chance(0.5)
    ? inRow(sheet, Math.min(count, 4), area)
    : scattered(sheet, count, area);
}

/* Lettering */

/** Artist above title, or title above artist, at the top, middle or bottom of an area. */
function lines(
  sheet: Sheet,
  area: Area,
  ink: string,
  at: 'top' | 'middle' | 'bottom' = 'middle',
): string {
  const { random, spec, voice } = sheet;
  const align = random.pick(['start', 'middle', 'end'] as const);
  const x = area.x + area.width * { start: 0, middle: 0.5, end: 1 }[align];
  const bigger = Math.min(area.height * 0.52, random.between(26, 58));
  const smaller = Math.min(area.height * 0.26, bigger * random.between(0.42, 0.62));
  const gap = Math.min(bigger * 0.55, area.height * 0.2);
  const common = { x, width: area.width, align, ink, ...voice };
  const words = [
    { text: spec.artist, height: bigger },
    { text: spec.title, height: smaller },
  ];
  if (random.chance(0.3)) words.reverse();
  const measured = words.map((word) => drawLettering({ ...common, ...word, y: 0 }).height);
  const total = measured.reduce((sum, height) => sum + height, gap);
  let y = area.y + (area.height - total) * { top: 0, middle: 0.5, bottom: 1 }[at];
  return words
    .map((word, i) => {
      const { svg } = drawLettering({ ...common, ...word, y });
      y += (measured[i] ?? 0) + gap;
      return svg;
    })
    .join('');
}

const inset = ({ x, y, width, height }: Area, by: number, byY = by): Area => ({
  x: x + by,
  y: y + byY,
  width: width - 2 * by,
  height: height - 2 * byY,
});

/** A neutral band with the lettering on it. */
function band(sheet: Sheet, area: Area): string {
  const isLight = sheet.random.chance(0.5);
  const [ground, ink] = isLight ? [sheet.light, sheet.dark] : [sheet.dark, sheet.light];
  return (
    rect(area, `fill="${ground}"`) +
    lines(sheet, inset(area, Math.min(26, area.width * 0.08), area.height * 0.16), ink)
  );
}

/** Lettering on a plate in the base colour, so that it is legible over the texture. */
function plate(sheet: Sheet, area: Area): string {
  const ink = sheet.base.lightness > 56 ? sheet.dark : sheet.light;
  const pad = Math.min(22, area.height * 0.16);
  return (
    rect(area, `fill="${css(sheet.base)}" rx="${n(sheet.random.pick([0, 0, 10]))}"`) +
    lines(sheet, inset(area, pad), ink)
  );
}

const wording = (sheet: Sheet, area: Area): string =>
  sheet.random.chance(0.5) ? band(sheet, area) : plate(sheet, area);

/* Layouts */

const compositions: Record<Layout, (sheet: Sheet) => Composition> = {
  centre: (sheet) => {
    const { random } = sheet;
    const height = random.between(72, 104);
    const margin = random.between(0, 34);
    const above = random.chance(0.3);
    const strip = {
      x: margin,
      y: above ? margin : coverEdge - margin - height,
      width: coverEdge - 2 * margin,
      height,
    };
    const free = { x: 40, y: above ? height + 50 : 40, width: 560, height: 640 - height - 90 };
    return { panels: '', places: alone(sheet, free), letters: wording(sheet, strip) };
  },
  'band-below': (sheet) => {
    const height = sheet.random.between(110, 150);
    const top = coverEdge - height;
    const area = { x: 0, y: top, width: coverEdge, height };
    return {
      panels: '',
      places: arranged(sheet, { x: 34, y: 28, width: 572, height: top - 56 }),
      letters: band(sheet, area),
    };
  },
  'band-aside': (sheet) => {
    const { random } = sheet;
    const width = random.between(84, 120);
    const onLeft = random.chance(0.6);
    // The band is drawn horizontally and then rotated about the cover's centre.
    const lying = band(sheet, { x: 0, y: 0, width: coverEdge, height: width });
    const x = onLeft ? width + 22 : 28;
    return {
      panels: '',
      places: arranged(sheet, { x, y: 34, width: coverEdge - width - 50, height: 572 }),
      letters: `<g transform="rotate(${onLeft ? '-90' : '90'} 320 320)">${lying}</g>`,
    };
  },
  row: (sheet) => {
    const { random } = sheet;
    const height = random.between(64, 92);
    const above = random.chance(0.5);
    const strip = { x: 30, y: above ? 30 : coverEdge - 30 - height, width: 580, height };
    const free = { x: 26, y: above ? height + 50 : 30, width: 588, height: 640 - height - 80 };
    return {
      panels: '',
      places: inRow(sheet, random.integer(2, 4), free),
      letters: wording(sheet, strip),
    };
  },
  scatter: (sheet) => {
    const { random } = sheet;
    const height = random.between(66, 100);
    const strip = { x: 0, y: coverEdge - height, width: coverEdge, height };
    return {
      panels: '',
      places: scattered(sheet, random.integer(3, 5), {
        x: 22,
        y: 22,
        width: 596,
        height: 640 - height - 36,
      }),
      letters: wording(sheet, strip),
    };
  },
  'off-centre': (sheet) => {
    const { random } = sheet;
    const radius = random.between(150, 205);
    const onLeft = random.chance(0.5);
    const above = random.chance(0.5);
    const place = {
      x: onLeft ? radius + 20 : coverEdge - radius - 20,
      y: above ? radius + 20 : coverEdge - radius - 20,
      radius,
      turn: turnOf(sheet),
    };
    const height = random.between(90, 130);
    const width = random.between(330, 460);
    const strip = {
      x: onLeft ? coverEdge - width - 24 : 24,
      y: above ? coverEdge - height - 24 : 24,
      width,
      height,
    };
    return { panels: '', places: [place], letters: wording(sheet, strip) };
  },
  panel: (sheet) => {
    const { random, base } = sheet;
    const margin = random.between(78, 112);
    const area = inset(whole, margin);
    const lettersHeight = random.between(66, 92);
    const ink = base.lightness > 56 ? sheet.dark : sheet.light;
    const free = { ...inset(area, 16), height: area.height - lettersHeight - 28 };
    return {
      panels: rect(area, `fill="${css(base)}"`),
      places: arranged(sheet, free),
      letters: lines(
        sheet,
        {
          x: area.x + 22,
          y: area.y + area.height - lettersHeight - 10,
          width: area.width - 44,
          height: lettersHeight,
        },
        ink,
      ),
    };
  },
  half: (sheet) => {
    const { random, base } = sheet;
    const cut = random.between(300, 400);
    const tilt = random.between(-70, 70);
    const upright = random.chance(0.5);
    const clip = upright
      ? `<path d="M0 0H${n(cut + tilt)}L${n(cut - tilt)} 640H0Z"/>`
      : `<path d="M0 0H640V${n(cut + tilt)}L0 ${n(cut - tilt)}Z"/>`;
    const ink = base.lightness > 56 ? sheet.dark : sheet.light;
    const words = upright
      ? { x: cut + Math.abs(tilt) + 20, y: 500, width: 600 - cut - Math.abs(tilt), height: 110 }
      : { x: 36, y: 530, width: 568, height: 80 };
    const radius = random.between(130, 185);
    const place = {
      x: upright
        ? Math.min(640 - radius - 14, cut + random.between(-50, 60))
        : random.between(radius + 30, 610 - radius),
      y: upright
        ? random.between(radius + 20, 475 - radius)
        : Math.min(510 - radius, cut + random.between(-70, 30)),
      radius,
      turn: turnOf(sheet),
    };
    return { clip, panels: '', places: [place], letters: lines(sheet, words, ink, 'bottom') };
  },
};

/* Decorations */

/** Nothing, a thin frame, a thin rule or a small sticker; always neutral and too small to be the subject. */
function decoration({ random, dark, light: pale }: Sheet): string {
  const ink = random.pick([dark, pale]);
  switch (random.integer(0, 4)) {
    case 0:
      return rect(
        inset(whole, random.between(10, 18)),
        `fill="none" stroke="${ink}" stroke-width="${n(random.between(2, 5))}"`,
      );
    case 1: {
      const y = n(random.between(8, 20));
      return `<path d="M20 ${y}H620" stroke="${ink}" stroke-width="${n(random.between(2, 4))}"/>`;
    }
    case 2: {
      const x = random.pick([22, 572]);
      return (
        rect({ x, y: 20, width: 46, height: 22 }, `fill="${ink}"`) +
        `<path d="M${String(x + 8)} 31h30" stroke="${ink === dark ? pale : dark}" stroke-width="4"/>`
      );
    }
    default:
      return '';
  }
}
