import { parentPort, workerData } from 'node:worker_threads';
import libheif from 'libheif-js/wasm-bundle.js';
import type { heif_image_handle as ImageHandle } from 'libheif-js/libheif-wasm/libheif.js';
import { cropRgb, type Size } from './geometry.ts';

/** The thread's `workerData`. */
export interface HeicTask {
  bytes: Uint8Array;
  /** Largest picture to decode, in pixels. */
  maxPixels: number;
}

/** The thread's only message. */
export type HeicAnswer =
  | ({ type: 'decoded'; rgb: Uint8Array<ArrayBuffer> } & Size)
  | ({ type: 'too-large' } & Size)
  | { type: 'unreadable'; reason: string };

/** One colour plane, or several interleaved. Rows are `stride` bytes apart. */
interface Channel extends Size {
  stride: number;
  data: Uint8Array;
}

/** Each of libheif's functions returns either its result or an error object. */
const isError = (result: unknown): result is { code: object; message: string } =>
  typeof result === 'object' && result !== null && 'code' in result;

/** @throws Error with libheif's message if the result is an error */
function successful<T>(result: T): T {
  if (isError(result)) throw new Error(result.message);
  return result;
}

/**
 * Byte offset of `max_image_size_pixels`, a 64-bit number, in `heif_security_limits` (heif_security.h, version 1 and
 * later). The limit also applies to the pictures coded in the file, whatever size its header claims.
 */
const maxPixelsOffset = 8;

/** Decodes the primary picture, rotated and mirrored as the file specifies. */
function decode({ bytes, maxPixels }: HeicTask): HeicAnswer {
  const limitAt = libheif._heif_get_global_security_limits() + maxPixelsOffset;
  (libheif.HEAPU32 as Uint32Array).set([maxPixels, 0], limitAt / 4);
  const context = libheif.heif_context_alloc();
  const { code, message } = libheif.heif_context_read_from_memory(context, bytes);
  if (code.value !== libheif.heif_error_code.heif_error_Ok.value)
    throw new Error(message as string);
  const handle = successful(
    libheif.heif_js_context_get_primary_image_handle(context) as ImageHandle,
  );
  const size = {
    width: libheif.heif_image_handle_get_width(handle),
    height: libheif.heif_image_handle_get_height(handle),
  };
  if (size.width * size.height > maxPixels) return { type: 'too-large', ...size };
  const { channels } = successful(
    libheif.heif_js_decode_image2(
      handle,
      libheif.heif_colorspace.heif_colorspace_RGB,
      libheif.heif_chroma.heif_chroma_interleaved_RGB,
    ) as { channels: Channel[] },
  );
  const [channel] = channels;
  if (!channel) throw new Error('The picture has no colour channels.');
  const { width, height, stride, data } = channel;
  const rgb = cropRgb(data, stride, { left: 0, top: 0, width, height });
  return { type: 'decoded', rgb, width, height };
}

function answer(task: HeicTask): HeicAnswer {
  try {
    return decode(task);
  } catch (error) {
    return { type: 'unreadable', reason: error instanceof Error ? error.message : String(error) };
  }
}

const result = answer(workerData as HeicTask);
parentPort?.postMessage(result, result.type === 'decoded' ? [result.rgb.buffer] : []);
