/** The input that a model expects: resized, then cropped from the centre. */
export interface ModelFrame {
  /** Edge in pixels of the square that the model sees. */
  crop: number;
  /** Edge in pixels that the picture is resized to before the crop; at least `crop`. */
  size: number;
  /** `shortest-edge` keeps the proportions, `exact` squeezes the whole picture into `size` x `size`. */
  resize: 'shortest-edge' | 'exact';
}

export interface Size {
  width: number;
  height: number;
}

/** A part of a picture, in whole pixels from its upper left corner. */
export interface Region extends Size {
  left: number;
  top: number;
}

/**
 * The geometry of Hugging Face transformers' `CLIPImageProcessor`: the size that a picture is resized to
 * (`get_resize_output_image_size`: the longer edge is truncated, not rounded) and the square that is kept of it
 * (`center_crop`: an odd pixel is left over on the right and below).
 */
export function modelGeometry({ width, height }: Size, { size, crop, resize }: ModelFrame) {
  const short = Math.min(width, height);
  const edge = (length: number) =>
    resize === 'exact' || length === short ? size : Math.trunc((size * length) / short);
  const resized = { width: edge(width), height: edge(height) };
  return { resized, kept: centred({ width: crop, height: crop }, resized) };
}

/** The middle of a picture whose longer edge is more than `ratio` times the shorter one; else the whole picture. */
export function centralRegion(picture: Size, ratio: number): Region {
  const long = Math.min(picture.width, picture.height) * ratio;
  const kept = { width: Math.min(picture.width, long), height: Math.min(picture.height, long) };
  return centred(kept, picture);
}

const centred = (kept: Size, whole: Size): Region => ({
  left: Math.floor((whole.width - kept.width) / 2),
  top: Math.floor((whole.height - kept.height) / 2),
  ...kept,
});

/** Copies a region out of RGB pixels: 3 bytes each, rows `stride` bytes apart. */
export function cropRgb(pixels: Uint8Array, stride: number, { left, top, ...kept }: Region) {
  const row = 3 * kept.width;
  const cropped = new Uint8Array(row * kept.height);
  for (let y = 0; y < kept.height; y++) {
    const from = (top + y) * stride + 3 * left;
    cropped.set(pixels.subarray(from, from + row), y * row);
  }
  return cropped;
}
