import type { ClipDtype, Tower } from '../clip/model-files.ts';
import type { Covers } from './covers.ts';

/** Names of the files within the folder of models, local or in S3. */
export const indexName = 'album_covers.index';
export const metadataName = 'valid_metadata_final.json';
/** Features of the covers, by which albums are recognised in photos. Not all sets have it. */
export const featuresName = 'album_covers.features';
export const clipName = 'clip';
/** Says what a set of files is: whether it is whole, and what it was made with. Not all sets have one. */
export const manifestName = 'manifest.json';

/** Where everything that is served comes from. Files that are elsewhere are fetched when they are asked for. */
export interface Assets {
  /** `starter`: the made-up covers that the project makes itself, since the user gave none. */
  readonly origin: 'user' | 'starter';
  /** What to call the place in a message: a folder, or an `s3://` URI. */
  readonly place: string;
  /** Local path of the FAISS index. */
  readonly index: () => Promise<string>;
  /** Local path of the list of albums. */
  readonly metadata: () => Promise<string>;
  /** Local path of the covers' features, `null` where there are none. */
  readonly features: () => Promise<string | null>;
  /** Local path of the manifest, `null` where there is none. */
  readonly manifest: () => Promise<string | null>;
  /** Something that is another when the manifest is; asking for it fetches nothing. */
  readonly version: () => Promise<string>;
  /**
   * Local folder, laid out as the model is, that holds all that one tower needs.
   *
   * @param dtype default: the first present of fp32, fp16, q8
   */
  readonly clip: (tower: Tower, dtype?: ClipDtype) => Promise<string>;
  readonly covers: Covers;
}
