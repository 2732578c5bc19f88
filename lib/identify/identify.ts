import type { FeatureIndex } from './feature-index.ts';
import type { PictureFeatures } from './features.ts';
import type { Outline, Point, Sighting } from './native.ts';

/** A sleeve found in a photo, and its album. */
export interface Finding extends Pick<Sighting, 'row' | 'points'> {
  /**
   * Corners of the cover as fractions of the upright photo's width and height, clockwise from the upper left; outside
   * 0 to 1 if part of the cover is outside the photo.
   */
  outline: Outline;
  /** Rows of other covers that fit nearly as well at the same place: other editions, singles with the same artwork. */
  alternatives: number[];
}

/** The best settings according to docs/identify.md. */
export const usualSearch = { voters: 1500, probes: 8, neighbours: 30, candidates: 200 };

/** Minimum points of a cover, in addition to a share of its features that are visible in the photo. */
const fewestPoints = 10;
const fewestShare = 1 / 32;
/** Minimum cells that contain the points: covers that share only a label's logo or a word agree in fewer. */
const fewestCells = 8;

type Evidence = Pick<Sighting, 'points' | 'cells' | 'visible'>;

/**
 * How certain it is that a cover is in the photo; it is reported from 1 on. docs/identify.md has the values of covers
 * that are in the photo and of those that are not.
 */
export const surenessOf = ({ points, cells, visible }: Evidence): number =>
  Math.min(points / (fewestPoints + fewestShare * visible), cells / fewestCells);

/** An alternative has at least this share of the best cover's points. */
const alternativeShare = 0.8;
/** Two outlines are the same place if their intersection is at least this share of the smaller one. */
const samePlace = 0.5;

/**
 * Identifies the sleeves in a photo that are covers of the set, largest first; empty if there are none.
 *
 * @param candidates rows checked in addition to those that the features vote for, e.g. the nearest by embedding
 */
export async function identify(
  index: FeatureIndex,
  photo: PictureFeatures,
  candidates: readonly number[] = [],
): Promise<Finding[]> {
  return findingsIn(await index.sightings(photo, usualSearch, candidates), photo);
}

/** Findings that are certain enough, largest first. */
export function findingsIn(
  sightings: readonly Sighting[],
  { width, height }: { width: number; height: number },
): Finding[] {
  const scale = ([x, y]: Point): Point => [x / width, y / height];
  return mergeSightings(sightings)
    .sort((a, b) => areaOf(b.outline) - areaOf(a.outline))
    .map(({ outline: [a, b, c, d], ...rest }) => ({
      ...rest,
      outline: [scale(a), scale(b), scale(c), scale(d)],
    }));
}

/**
 * Of the sightings at one place, the one with the most points becomes the finding. Each point of the photo counts for
 * one sleeve only: points inside a finding's outline do not support another one. Two covers with the same lettering,
 * for example, agree wherever it is.
 */
export function mergeSightings(sightings: readonly Sighting[]): Finding[] {
  const findings: Finding[] = [];
  for (const sighting of [...sightings].sort((a, b) => b.points - a.points || a.row - b.row)) {
    const { row, points, outline } = sighting;
    if (surenessOf(sighting) < 1) continue;
    const same = findings.find((finding) => isSamePlace(finding.outline, outline));
    if (same) {
      if (points >= alternativeShare * same.points) same.alternatives.push(row);
    } else if (surenessOf({ ...sighting, ...outsideOf(findings, sighting) }) >= 1)
      findings.push({ row, points, outline, alternatives: [] });
  }
  return findings;
}

/** The points of a sighting outside all findings' outlines. */
function outsideOf(findings: readonly Finding[], { spots }: Sighting) {
  const cells = new Set<number>();
  let points = 0;
  for (let at = 0; at < spots.length; at += 3) {
    const [x = NaN, y = NaN, cell = NaN] = spots.subarray(at, at + 3);
    if (findings.some(({ outline }) => isInside(outline, [x, y]))) continue;
    cells.add(cell);
    points += 1;
  }
  return { points, cells: cells.size };
}

/** Negative where a point is outside the edge from a to b of a polygon with its corners in clockwise order. */
const sideOf = ([ax, ay]: Point, [bx, by]: Point, [x, y]: Point): number =>
  (bx - ax) * (y - ay) - (by - ay) * (x - ax);

const isInside = (corners: Outline, point: Point): boolean =>
  corners.every((corner, i) => sideOf(corner, corners[(i + 1) % 4] ?? corner, point) >= 0);

const isSamePlace = (a: Outline, b: Outline): boolean =>
  areaOf(intersection(a, b)) >= samePlace * Math.min(areaOf(a), areaOf(b));

/** Area of a polygon with its corners in clockwise order (y points down). */
function areaOf(corners: readonly Point[]): number {
  let twice = 0;
  for (const [i, [x, y]] of corners.entries()) {
    const [nextX, nextY] = corners[(i + 1) % corners.length] ?? [x, y];
    twice += x * nextY - nextX * y;
  }
  return twice / 2;
}

/** Intersection of two convex polygons: one is clipped at each edge of the other (Sutherland and Hodgman, 1974). */
function intersection(subject: readonly Point[], clip: readonly Point[]): readonly Point[] {
  let kept = subject;
  for (const [i, corner] of clip.entries()) {
    const next = clip[(i + 1) % clip.length] ?? corner;
    const cut: Point[] = [];
    for (const [j, to] of kept.entries()) {
      const from = kept[(j + kept.length - 1) % kept.length] ?? to;
      const [before, after] = [sideOf(corner, next, from), sideOf(corner, next, to)];
      if (before * after < 0) {
        const share = before / (before - after);
        cut.push([from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]);
      }
      if (after >= 0) cut.push(to);
    }
    kept = cut;
  }
  return kept;
}
