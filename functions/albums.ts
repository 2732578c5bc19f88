import { createHandler } from '../lib/http/lambda.ts';
import { albumsRouter } from '../lib/http/routes/albums.ts';

export const handler = createHandler(albumsRouter);
