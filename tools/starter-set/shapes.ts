import type { Random } from './random.ts';

export const shapes = [
  'circle',
  'square',
  'triangle',
  'star',
  'ring',
  'cross',
  'heart',
  'diamond',
  'crescent',
] as const;
export type Shape = (typeof shapes)[number];

const polygon = (points: readonly (readonly [number, number])[]): string =>
  `M${points.map(([x, y]) => `${x.toFixed(3)} ${y.toFixed(3)}`).join('L')}Z`;

const disc = (radius: number): string => {
  const r = radius.toFixed(3);
  return `M-${r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 -${r} 0Z`;
};

/** A polygon with corners at equal angles from the top, at the given radii. */
const radial = (radii: readonly number[]): string =>
  polygon(
    radii.map((radius, i) => {
      const angle = (2 * Math.PI * i) / radii.length;
      return [radius * Math.sin(angle), -radius * Math.cos(angle)] as const;
    }),
  );

const outlines: Record<Shape, (random: Random) => string> = {
  circle: () => disc(0.92),
  square: () =>
    polygon([
      [-0.8, -0.8],
      [0.8, -0.8],
      [0.8, 0.8],
      [-0.8, 0.8],
    ]),
  triangle: () => radial([1, 1, 1]),
  star: (random) => {
    const inner = random.between(0.38, 0.48);
    return radial(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? 1 : inner)));
  },
  ring: (random) => disc(0.96) + disc(random.between(0.5, 0.66)),
  cross: (random) => {
    const w = random.between(0.26, 0.36);
    return polygon([
      [-w, -1],
      [w, -1],
      [w, -w],
      [1, -w],
      [1, w],
      [w, w],
      [w, 1],
      [-w, 1],
      [-w, w],
      [-1, w],
      [-1, -w],
      [-w, -w],
    ]);
  },
  heart: () =>
    'M0 0.95C-0.55 0.5 -1 0.15 -1 -0.35C-1 -0.75 -0.7 -0.92 -0.48 -0.92C-0.25 -0.92 -0.08 -0.78 0 -0.55' +
    'C0.08 -0.78 0.25 -0.92 0.48 -0.92C0.7 -0.92 1 -0.75 1 -0.35C1 0.15 0.55 0.5 0 0.95Z',
  diamond: (random) => {
    const w = random.between(0.56, 0.66);
    return polygon([
      [0, -1],
      [w, 0],
      [0, 1],
      [-w, 0],
    ]);
  },
  crescent: (random) => {
    const inner = random.between(0.78, 0.86);
    return `M0.5 -0.83A0.97 0.97 0 1 0 0.5 0.83A${inner.toFixed(3)} ${inner.toFixed(3)} 0 1 1 0.5 -0.83Z`;
  },
};

/** SVG path data of a shape within a circle of radius 1 around the origin. Fill it with the even-odd rule. */
export const shapePath = (shape: Shape, random: Random): string => outlines[shape](random);

/** Whether a shape is recognisable when only its edge is drawn: an outlined circle would be a ring. */
export const canBeOutlined = (shape: Shape): boolean =>
  !['circle', 'ring', 'crescent', 'cross'].includes(shape);

/** A random rotation in degrees, limited so that a square is not mistaken for a diamond. */
export function rotationOf(shape: Shape, random: Random): number {
  switch (shape) {
    case 'circle':
    case 'ring':
      return random.between(0, 360);
    case 'square':
    case 'diamond':
      return random.between(-12, 12);
    case 'cross':
      return random.between(-16, 16) + (random.chance(0.25) ? 45 : 0);
    case 'triangle':
      return random.between(-18, 18) + (random.chance(0.2) ? 180 : 0);
    case 'star':
      return random.between(-36, 36);
    case 'heart':
      return random.between(-22, 22);
    case 'crescent':
      return random.between(-40, 40) + (random.chance(0.4) ? 180 : 0);
  }
}
