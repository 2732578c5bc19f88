/** The geometry of a crop, independent of the DOM. */

/** The part that is kept: edges as fractions of the picture's width and height, 0 to 1. */
export interface Crop {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Size {
  width: number;
  height: number;
}

export const corners = ['top-left', 'top-right', 'bottom-left', 'bottom-right'] as const;
export type Corner = (typeof corners)[number];

export const wholePicture: Crop = { left: 0, top: 0, right: 1, bottom: 1 };

/** Minimum width and height of a crop as a fraction of the picture: a smaller one could not be dragged. */
export const leastShare = 0.08;

const between = (low: number, value: number, high: number) => Math.min(high, Math.max(low, value));

/** Position of a corner as fractions of the picture's width and height. */
export const cornerAt = (crop: Crop, corner: Corner): { x: number; y: number } => ({
  x: corner.endsWith('left') ? crop.left : crop.right,
  y: corner.startsWith('top') ? crop.top : crop.bottom,
});

/** Moves one corner to a point, within the limits; the opposite corner stays. */
export function moveCorner(crop: Crop, corner: Corner, x: number, y: number): Crop {
  const { left, top, right, bottom } = crop;
  return {
    ...crop,
    ...(corner.endsWith('left')
      ? { left: between(0, x, right - leastShare) }
      : { right: between(left + leastShare, x, 1) }),
    ...(corner.startsWith('top')
      ? { top: between(0, y, bottom - leastShare) }
      : { bottom: between(top + leastShare, y, 1) }),
  };
}

/** Moves the whole crop, within the picture. */
export function moveWhole(crop: Crop, byX: number, byY: number): Crop {
  const x = between(-crop.left, byX, 1 - crop.right);
  const y = between(-crop.top, byY, 1 - crop.bottom);
  return {
    left: crop.left + x,
    top: crop.top + y,
    right: crop.right + x,
    bottom: crop.bottom + y,
  };
}

/** The crop in whole pixels of a picture, at least 1 x 1. */
export function regionOf(crop: Crop, { width, height }: Size): Size & { x: number; y: number } {
  const x = Math.min(width - 1, Math.round(crop.left * width));
  const y = Math.min(height - 1, Math.round(crop.top * height));
  return {
    x,
    y,
    width: Math.max(1, Math.round(crop.right * width) - x),
    height: Math.max(1, Math.round(crop.bottom * height) - y),
  };
}

/** Scales a size down so that its longer side is at most `edge` pixels. Never enlarges. */
export function fitInto(edge: number, { width, height }: Size): Size {
  const scale = Math.min(1, edge / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}
