import type { Random } from './random.ts';

export const textures = ['stripes', 'dots', 'grid', 'waves', 'checkerboard', 'rays'] as const;
export type Texture = (typeof textures)[number];

/** Edge of a cover in SVG units. */
export const coverEdge = 640;

/** Half the edge of the textured area: large enough for a rotated texture to reach every corner, with a margin. */
const reach = 470;

const n = (value: number): string => value.toFixed(1);

/** Positions from -reach to reach, `step` apart, with a random phase. */
function steps(step: number, random: Random): number[] {
  const first = -reach - random.next() * step;
  return Array.from({ length: Math.ceil((2 * reach) / step) + 2 }, (_, i) => first + i * step);
}

/** An SVG transform that rotates by about one of the angles. */
const turned = (angles: readonly number[], random: Random): string =>
  `translate(320 320) rotate(${n(random.pick(angles) + random.between(-6, 6))})`;

const filled = (path: string, ink: string, transform: string): string =>
  `<path transform="${transform}" fill="${ink}" d="${path}"/>`;

const stroked = (path: string, ink: string, width: number, transform: string): string =>
  `<path transform="${transform}" fill="none" stroke="${ink}" stroke-width="${n(width)}" d="${path}"/>`;

/** The ink always covers clearly less than half, so that ink and ground are distinguishable. */
const drawings: Record<Texture, (ink: string, random: Random) => string> = {
  stripes: (ink, random) => {
    const step = random.between(34, 84);
    const width = step * random.between(0.32, 0.44);
    const path = steps(step, random)
      .map((x) => `M${n(x)} -${String(reach)}h${n(width)}v${String(2 * reach)}h-${n(width)}Z`)
      .join('');
    return filled(path, ink, turned([0, 90, 45, -45, 45, -45, 20, -70], random));
  },
  dots: (ink, random) => {
    const step = random.between(38, 74);
    const r = n(step * random.between(0.24, 0.34));
    const staggered = random.chance(0.5);
    const columns = steps(step, random);
    const path = steps(step, random)
      .flatMap((y, row) =>
        columns.map((x) => {
          const left = x + (staggered && row % 2 === 1 ? step / 2 : 0);
          return `M${n(left)} ${n(y)}m-${r} 0a${r} ${r} 0 1 1 ${n(2 * Number(r))} 0a${r} ${r} 0 1 1 -${n(2 * Number(r))} 0Z`;
        }),
      )
      .join('');
    return filled(path, ink, turned([0, 45, 30], random));
  },
  grid: (ink, random) => {
    const step = random.between(40, 78);
    const lines = steps(step, random);
    const path = lines
      .map(
        (at) =>
          `M${n(at)} -${String(reach)}V${String(reach)}M-${String(reach)} ${n(at)}H${String(reach)}`,
      )
      .join('');
    return stroked(path, ink, step * random.between(0.13, 0.2), turned([0, 0, 45], random));
  },
  waves: (ink, random) => {
    const half = random.between(38, 72);
    const height = half * random.between(0.42, 0.62);
    const step = height * random.between(1.3, 1.8);
    const count = Math.ceil((2 * reach) / half) + 1;
    const path = steps(step, random)
      .map((y) => {
        const rest = Array.from({ length: count - 1 }, () => `t${n(half)} 0`).join('');
        return `M-${String(reach)} ${n(y)}q${n(half / 2)} -${n(height)} ${n(half)} 0${rest}`;
      })
      .join('');
    return stroked(
      path,
      ink,
      step * random.between(0.34, 0.5),
      turned([0, 0, 90, 30, -30], random),
    );
  },
  checkerboard: (ink, random) => {
    const step = random.between(38, 76);
    // Smaller than the cells: with half the area each, it would be unclear which colour is the ink.
    const edge = n(step * random.between(0.78, 0.86));
    const columns = steps(step, random);
    const path = steps(step, random)
      .flatMap((y, row) =>
        columns.flatMap((x, column) =>
          (row + column) % 2 === 0 ? [`M${n(x)} ${n(y)}h${edge}v${edge}h-${edge}Z`] : [],
        ),
      )
      .join('');
    return filled(path, ink, turned([0, 0, 12, -12], random));
  },
  rays: (ink, random) => {
    const count = random.integer(10, 20);
    const duty = random.between(0.28, 0.4);
    const from = random.between(0, Math.PI);
    const far = 1100;
    const at = (angle: number) => `${n(far * Math.cos(angle))} ${n(far * Math.sin(angle))}`;
    const path = Array.from({ length: count }, (_, i) => {
      const angle = from + (2 * Math.PI * i) / count;
      return `M0 0L${at(angle)}L${at(angle + (2 * Math.PI * duty) / count)}Z`;
    }).join('');
    const centre = `${n(random.between(150, 490))} ${n(random.between(150, 490))}`;
    return filled(path, ink, `translate(${centre})`);
  },
};

/** SVG of a texture over the whole cover. `ink` is a CSS colour. */
export const drawTexture = (texture: Texture, ink: string, random: Random): string =>
  drawings[texture](ink, random);
