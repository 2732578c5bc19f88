import { decodeGrey, type Grey } from '../imaging/raster.ts';
import { native, type Features } from './native.ts';

/** A picture's features, and the size in pixels that their places refer to. */
export interface PictureFeatures extends Features {
  width: number;
  height: number;
}

/** Longest edge in pixels to which a picture is shrunk, and the maximum number of features: docs/identify.md. */
export type Amount = Record<'side' | 'features', number>;
const coverAmount: Amount = { side: 500, features: 500 };
export const photoAmount: Amount = { side: 1280, features: 4000 };

/** A cover with fewer features is too plain to be distinguished from others. */
export const fewestFeatures = 40;

/**
 * Features of a cover, the strongest first.
 *
 * @throws AppError as `decodeGrey`, and `index_unreadable` if the addon is not built
 */
export async function featuresOfCover(
  bytes: Buffer,
  { side, features } = coverAmount,
): Promise<PictureFeatures> {
  return featuresOfGrey(await decodeGrey(bytes, { side }), features);
}

/** Features of a photo in which covers are to be found, the strongest first. */
export const featuresOfPhoto = (bytes: Buffer) => featuresOfCover(bytes, photoAmount);

/** Features of a decoded picture: the `most` strongest. */
export async function featuresOfGrey(grey: Grey, most: number): Promise<PictureFeatures> {
  const { pixels, width, height } = grey;
  return { ...(await native().extract(pixels, width, height, most)), width, height };
}

/** Number of features. */
export const countOf = ({ codes }: Features): number => codes.length / 32;
