import sharp from 'sharp';

/**
 * A synthetic photo: smooth shapes under grain, so that its JPEG takes about as long to upload and decode as a
 * photo of a sleeve.
 *
 * @param width pixels
 * @param height pixels
 * @param look.scene seed of the shapes, 1 to 2,147,483,646
 * @param look.light colour of the light, as a CSS colour
 */
export async function photograph(
  width: number,
  height: number,
  look: { scene?: number; light?: string } = {},
): Promise<Buffer> {
  let seed = look.scene ?? 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647; // minimal standard generator
  const shapes = Array.from({ length: 60 }, () => {
    const [x, y, r] = [random() * 1000, random() * 1000, 20 + random() * 200];
    return `<circle cx="${String(x)}" cy="${String(y)}" r="${String(r)}" fill="hsl(${String(random() * 360)},60%,${String(20 + random() * 60)}%)" opacity="0.7"/>`;
  });
  const light = look.light
    ? `<rect width="1000" height="1000" fill="${look.light}" opacity="0.75"/>`
    : '';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 1000" preserveAspectRatio="none" width="${String(width)}" height="${String(height)}"><rect width="1000" height="1000" fill="#554"/>${shapes.join('')}${light}</svg>`;
  const grain = await sharp({
    create: {
      width,
      height,
      channels: 3,
      background: '#808080',
      noise: { type: 'gaussian', mean: 128, sigma: 12 },
    },
  })
    .png({ compressionLevel: 0 })
    .toBuffer();
  return sharp(Buffer.from(svg), { unlimited: true })
    .composite([{ input: grain, blend: 'soft-light' }])
    .jpeg({ quality: 88 })
    .toBuffer();
}
