import type { ClipDtype, Tower } from '../clip/model-files.ts';
import type { Covers } from './covers.ts';

/** Names of the files within the folder of models, local or in S3. */
export const indexName = 'album_covers.index';
export const metadataName = 'valid_metadata_final.json';
/** The same list in a form that loads faster (lib/catalog/compact-file.ts). Only large sets have this file. */
export const compactName = 'valid_metadata_final.arrow';
/** Features of the covers, for recognising albums in photos. Not all sets have this file. */
export const featuresName = 'album_covers.features';
export const clipName = 'clip';
/** Describes a set of files: whether it is complete, and how it was created. Not all sets have this file. */
export const manifestName = 'manifest.json';

/** The files that the service uses. Remote files are fetched when they are requested. */
export interface Assets {
  /** `starter`: the project's own made-up covers, because the user provided no files. */
  readonly origin: 'user' | 'starter';
  /** The place's name in messages: a folder or an `s3://` URI. */
  readonly place: string;
  /** Local path of the FAISS index. */
  readonly index: () => Promise<string>;
  /** Local path of the list of albums. */
  readonly metadata: () => Promise<string>;
  /** Local path of the list's compact form, `null` if there is none. */
  readonly compactMetadata: () => Promise<string | null>;
  /** Local path of the covers' features, `null` if there are none. */
  readonly features: () => Promise<string | null>;
  /** Local path of the manifest, `null` if there is none. */
  readonly manifest: () => Promise<string | null>;
  /** A string that changes whenever the manifest does. Reading it downloads nothing. */
  readonly version: () => Promise<string>;
  /**
   * Local folder, laid out like the model, with everything that one tower needs.
   *
   * @param dtype default: the first present of fp32, fp16, q8
   */
  readonly clip: (tower: Tower, dtype?: ClipDtype) => Promise<string>;
  readonly covers: Covers;
}
