import type { Random } from './random.ts';

export const colours = [
  'red',
  'orange',
  'yellow',
  'green',
  'blue',
  'purple',
  'pink',
  'brown',
  'black',
  'white',
] as const;
export type Colour = (typeof colours)[number];

/** Hue in degrees, saturation and lightness in percent. */
export interface Shade {
  hue: number;
  saturation: number;
  lightness: number;
}

type Span = readonly [low: number, high: number];

/** Shades that are unambiguous for each colour name; the gaps between the names are intentional. */
const spans: Record<Colour, { hue: Span; saturation: Span; lightness: Span }> = {
  red: { hue: [352, 364], saturation: [72, 92], lightness: [40, 50] },
  orange: { hue: [22, 33], saturation: [90, 100], lightness: [50, 57] },
  yellow: { hue: [48, 56], saturation: [86, 100], lightness: [52, 63] },
  green: { hue: [105, 155], saturation: [45, 75], lightness: [27, 42] },
  blue: { hue: [208, 230], saturation: [66, 92], lightness: [36, 54] },
  purple: { hue: [268, 285], saturation: [45, 72], lightness: [34, 48] },
  pink: { hue: [328, 346], saturation: [72, 95], lightness: [71, 80] },
  brown: { hue: [20, 30], saturation: [42, 58], lightness: [22, 31] },
  black: { hue: [0, 360], saturation: [0, 14], lightness: [5, 11] },
  white: { hue: [30, 60], saturation: [0, 60], lightness: [95, 99] },
};

/** A random shade of a colour. */
export function shadeOf(colour: Colour, random: Random): Shade {
  const { hue, saturation, lightness } = spans[colour];
  return {
    hue: random.between(...hue) % 360,
    saturation: random.between(...saturation),
    lightness: random.between(...lightness),
  };
}

/** The same shade, lighter (positive) or darker (negative) by some percent. */
export const lighter = (shade: Shade, by: number): Shade => ({
  ...shade,
  lightness: Math.max(3, Math.min(99, shade.lightness + by)),
});

export const css = ({ hue, saturation, lightness }: Shade): string =>
  hex(rgb(hue, saturation, lightness));

const hex = (channels: readonly number[]): string =>
  `#${channels.map((channel) => Math.round(channel).toString(16).padStart(2, '0')).join('')}`;

/** HSL to RGB, 0 to 255. Not every version of librsvg supports `hsl()`. */
function rgb(hue: number, saturation: number, lightness: number): [number, number, number] {
  const light = lightness / 100;
  const reach = (saturation / 100) * Math.min(light, 1 - light);
  const channel = (offset: number): number => {
    const k = (offset + hue / 30) % 12;
    return 255 * (light - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

/** CIE L*a*b* of the mean of a colour's shades. */
function lab(colour: Colour): [number, number, number] {
  const { hue, saturation, lightness } = spans[colour];
  const middle = ([low, high]: Span) => (low + high) / 2;
  const [r, g, b] = rgb(middle(hue) % 360, middle(saturation), middle(lightness)).map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const root = (t: number) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const x = root((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = root(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = root((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const labs = new Map(colours.map((colour) => [colour, lab(colour)]));

/** Perceptual distance of two colours (CIE76): 2 is just noticeable, black to white is about 95. */
export function contrast(one: Colour, other: Colour): number {
  const [l, a, b] = labs.get(one) ?? [0, 0, 0];
  const [otherL, otherA, otherB] = labs.get(other) ?? [0, 0, 0];
  return Math.hypot(l - otherL, a - otherA, b - otherB);
}

/** Minimum contrast between a shape or a texture and its ground. */
export const legible = 48;

/** The colours on which all of `inks` are legible. */
export const groundsFor = (inks: readonly Colour[]): Colour[] =>
  colours.filter((colour) => inks.every((ink) => contrast(colour, ink) >= legible));
